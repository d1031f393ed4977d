# What people type. Every target makes its own .venv with plain `python3 -m venv`; uv comes as a dependency.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LINT   := $(VENV)/.ready-lint

MODEL   ?= rapidocr
DATASET ?= tiny-docs
PROMPT  ?= question
LIMIT   ?=
PARAM   ?=
RUN     ?= $(patsubst %.csv,%,$(notdir $(patsubst %/,%,$(patsubst %/annotation.csv,%,$(DATASET)))))

# uv does not read pip's configuration: a folder of wheels that pip knows is handed on.
comma := ,
ifndef UV_FIND_LINKS
PIP_LINKS := $(or $(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
UV_FIND_LINKS := $(subst $(eval ) ,$(comma),$(strip $(PIP_LINKS)))
endif
export UV_FIND_LINKS

# A value reaches the command as it was typed, quotes and dollars included; what is listed is cut at spaces alone.
quoted = '$(subst ','\'',$(1))'
each = $(foreach item,$(2),$(1) $(call quoted,$(item)))

misspelt = $(strip $(foreach name,MODELS DATASETS PROMPTS PARAMS LIMITS RUNS SETS,$(if $(filter command,$(origin $(name))),$(name))))
$(if $(misspelt),$(error there is no $(firstword $(misspelt))=; write $(patsubst %S,%,$(firstword $(misspelt)))=))
said = $(strip $(foreach name,MODEL DATASET PROMPT PARAM RUN,$(if $(filter command,$(origin $(name))),$(name))))
$(if $(and $(SET),$(said)),$(error SET=$(SET) says $(firstword $(said))= itself; leave it out, or write it into the set))

.PHONY: bench smoke test test-all faults lint format new-runner doctor clean help

help:  ## Show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

bench: $(READY)  ## Ask MODEL(s) about DATASET with PROMPT(s), or all of SET, score, report (LIMIT=n samples, PARAM=k=v)
ifdef SET
	@status=0; $(BIN)/bakeoff run $(call quoted,$(SET)) $(if $(LIMIT),--limit $(call quoted,$(LIMIT))) || status=$$?; \
	  if [ $$status -ne 0 ] && [ $$status -ne 3 ]; then exit $$status; fi; \
	  $(BIN)/bakeoff experiments score $(call quoted,$(SET)) || exit; \
	  runs=$$($(BIN)/bakeoff experiments runs $(call quoted,$(SET))) || exit; \
	  $(BIN)/bakeoff report $$runs || exit; exit $$status
else
	@status=0; $(BIN)/bakeoff run $(call each,--model,$(MODEL)) $(call each,--prompt,$(PROMPT)) \
	    $(call each,--param,$(PARAM)) --dataset $(call quoted,$(DATASET)) --run $(call quoted,$(RUN)) \
	    $(if $(LIMIT),--limit $(call quoted,$(LIMIT))) || status=$$?; \
	  if [ $$status -ne 0 ] && [ $$status -ne 3 ]; then exit $$status; fi; \
	  $(BIN)/bakeoff score $(call quoted,$(RUN)) && $(BIN)/bakeoff report $(call quoted,$(RUN)) || exit; \
	  if [ $$status -eq 3 ]; then $(BIN)/bakeoff runs show $(call quoted,$(RUN)) | grep ' failed the last time: ' >&2; fi; \
	  exit $$status
endif

smoke: $(READY)  ## The whole way with the echo runner, in seconds: run, score, report
	$(BIN)/bakeoff run --model echo --dataset tiny-docs --run smoke
	$(BIN)/bakeoff score smoke
	$(BIN)/bakeoff report smoke

test: $(READY)  ## The fast tests
	$(BIN)/python -m pytest -n 3 -m "not slow"  # they wait as much as they work

test-all: $(READY)  ## Every test; builds real environments from the package registry
	$(BIN)/python -m pytest -n 3

faults: $(READY)  ## Break it on purpose: CAMPAIGN (all), COUNT times (a quick look), with SEED (drawn)
	$(BIN)/python -m tests.faults --campaign $(or $(CAMPAIGN),all) $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

lint: $(LINT)  ## ruff and mypy, as CI runs them
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(LINT)  ## Put the code into the one format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

new-runner: $(READY)  ## Begin the runner NAME
	@test -n $(call quoted,$(NAME)) || { echo "say what it is called: make new-runner NAME=my_model" >&2; exit 2; }
	$(BIN)/bakeoff runner new $(call quoted,$(NAME))

doctor: $(READY)  ## Look for what is missing on this machine
	$(BIN)/bakeoff doctor

clean:  ## Delete what was built; results stay
	rm -rf $(VENV) envs

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "bakeoff needs Python 3.11 or newer; set PYTHON=")'
	@echo "installing bakeoff into $(VENV), once" >&2
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

$(LINT): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[lint]'
	@touch $@

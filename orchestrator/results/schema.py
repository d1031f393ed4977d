"""The columns of every Parquet file of a run."""

import pyarrow as pa

# Version 2: a prediction has `crashes` and `losses`, and a later row supersedes one that is no answer.
SCHEMA_VERSION = 2

IMAGE = pa.struct([("path", pa.string()), ("sha256", pa.string())])

# One row per sample. `defect` is a sentence where the sample cannot be asked (a missing or unreadable image).
SAMPLES = pa.schema(
    [
        ("id", pa.string()),
        ("images", pa.list_(IMAGE)),
        ("question", pa.string()),
        ("references", pa.list_(pa.string())),
        ("doc_class", pa.string()),
        ("question_type", pa.string()),
        ("answer_bbox", pa.list_(pa.float64())),
        ("document", pa.string()),  # null: the first image, or the sample itself, is what intervals are clustered by
        ("metadata", pa.string()),  # JSON
        ("defect", pa.string()),
    ]
)

# One row per prompt text. `sha256` is the digest of text, system and kind; an edited prompt is a second row.
PROMPTS = pa.schema(
    [
        ("id", pa.string()),
        ("sha256", pa.string()),
        ("text", pa.string()),  # of a set or a chat its content as JSON
        ("system", pa.string()),
        ("kind", pa.string()),  # `set` or `chat`; null: a plain text
        ("images", pa.list_(IMAGE)),  # the examples of a chat, in order
    ]
)

# One row per key. `text` is null unless status is `ok` or `refused`.
PREDICTIONS = pa.schema(
    [
        ("key", pa.string()),
        ("sample_id", pa.string()),
        ("prompt_id", pa.string()),
        ("model", pa.string()),
        ("runner", pa.string()),
        ("params", pa.string()),  # canonical JSON of everything given to the runner
        ("repeat", pa.int32()),
        ("text", pa.string()),
        ("status", pa.string()),
        ("error_kind", pa.string()),
        ("error_message", pa.string()),
        ("stop_reason", pa.string()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("cost", pa.float64()),  # US dollars
        ("latency_s", pa.float64()),
        ("batch_size", pa.int32()),
        ("attempts", pa.int32()),
        ("crashes", pa.int32()),  # workers that died while this request alone was under way; null before schema 2
        ("losses", pa.int32()),  # times bakeoff itself ended while it was under way; null before schema 2
        ("time", pa.timestamp("us", tz="UTC")),
        ("served_model", pa.string()),  # what an API says that it served, which need not be what was asked for
        ("info", pa.string()),  # JSON
    ]
)

# One row per expected answer (key and sample) and metric. `score` is null where it could not be scored; `reason` says
# why: a prediction's status, `missing` (never asked or not answered yet), `no_reference`, `unknown`, `parse_fail` or
# a metric's own.
SCORES = pa.schema(
    [
        ("key", pa.string()),
        ("sample_id", pa.string()),
        ("prompt_id", pa.string()),
        ("model", pa.string()),
        ("params", pa.string()),  # canonical JSON of the overrides that tell this cell from its siblings
        ("repeat", pa.int32()),
        ("doc_class", pa.string()),
        ("question_type", pa.string()),
        ("document", pa.string()),  # what intervals are clustered by; null in files from before summaries of version 2
        ("metric", pa.string()),
        ("normaliser", pa.string()),  # names and versions, null where the metric reads no text
        ("extractor", pa.string()),  # what was taken out of the answer before; null: the answer as it came
        ("score", pa.float64()),
        ("errors", pa.float64()),  # what a corpus figure sums up, such as edits
        ("weight", pa.float64()),  # what a corpus mean divides by, such as the reference's length
        ("reason", pa.string()),
    ]
)

FINAL_STATUSES = frozenset({"ok", "refused", "bad_input", "quarantined"})
ANSWER_STATUSES = frozenset({"ok", "refused"})
PENDING = "pending"  # in journals alone: the key has no row, as if it had never been asked


def versioned(schema: pa.Schema) -> pa.Schema:
    """Return `schema` with our version in its metadata."""
    return schema.with_metadata({"bakeoff_schema": str(SCHEMA_VERSION)})

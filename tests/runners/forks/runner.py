import os


def load(params):
    return None


def generate(state, request):
    pid = os.fork()
    if pid == 0:
        raise RuntimeError("I am the child")
    _, status = os.waitpid(pid, 0)
    return {"text": f"{request['prompt']} {os.waitstatus_to_exitcode(status)}"}

"""The Jenkinsfile's structure: what Declarative Pipeline wants where (its syntax reference), as far as blocks and their names go.

Jenkins' own linter needs a running server. What Groovy makes of a line is not seen here.
"""

import re
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "docs" / "how-to" / "ci" / "Jenkinsfile"

ANY = None
COMMON = {"agent", "environment", "options", "tools", "post"}
ALLOWED = {
    "pipeline": COMMON | {"stages", "triggers", "parameters", "libraries"},
    "stages": {"stage"},
    "stage": COMMON | {"when", "input", "steps", "stages", "parallel", "matrix"},
    "matrix": COMMON | {"when", "input", "axes", "excludes", "stages"},
    "axes": {"axis"},
    "axis": {"name", "values"},
    "post": {"always", "changed", "fixed", "regression", "aborted", "failure", "success", "unstable", "unsuccessful", "cleanup"},
    "when": {"branch", "tag", "environment", "expression", "triggeredBy", "not", "allOf", "anyOf", "beforeAgent", "buildingTag"},
    "options": {"timeout", "timestamps", "buildDiscarder", "disableConcurrentBuilds", "skipDefaultCheckout", "retry"},
    "triggers": {"cron", "pollSCM", "upstream"},
}
NEEDED = {
    "pipeline": {"agent", "stages"},
    "stages": {"stage"},
    "matrix": {"axes", "stages"},
    "axes": {"axis"},
    "axis": {"name", "values"},
}
BODIES = {"steps", "stages", "parallel", "matrix"}
STEPS = {"sh", "echo", "junit", "archiveArtifacts", "deleteDir", "withEnv", "readFile", "try", "finally"}
TOKEN = re.compile(r"""//[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|[A-Za-z_]\w*|\n|[^\s]""")


def problems(text):
    """What is wrong with a Jenkinsfile, in words; nothing when it is whole."""
    try:
        blocks = tree(text)
    except ValueError as error:
        return [str(error)]
    functions = {name.split()[-1]: inner for name, inner in blocks if name.startswith("void ")}
    pipelines = [inner for name, inner in blocks if name == "pipeline"]
    if len(pipelines) != 1:
        return [f"{len(pipelines)} pipeline blocks; expected one"]
    found = list(of_block("pipeline", pipelines[0], functions))
    for name, inner in functions.items():
        found += of_steps(name, inner, functions)
    return found


def tree(text):
    """Blocks and statements as (first word, inner blocks), without their strings and comments."""
    stack, words = [[]], []
    for token in TOKEN.findall(text):
        if token.startswith(("//", "'", '"')) and len(token) > 1:
            continue
        if token == "{":
            inner = []
            stack[-1].append((" ".join(words[:2]) if words[:1] == ["void"] else (words or [""])[0], inner))
            stack.append(inner)
            words = []
        elif token in {"}", "\n", ";"}:
            if words:
                stack[-1].append((words[0], ANY))
            words = []
            if token == "}":
                stack.pop()
                if not stack:
                    raise ValueError("a } too many")
        elif re.fullmatch(r"[A-Za-z_]\w*", token):
            words.append(token)
        elif token in "'\"":
            raise ValueError("a string without an end")
    if len(stack) != 1:
        raise ValueError(f"{len(stack) - 1} blocks without an end")
    return stack[0]


def of_block(name, inner, functions):
    names = [one for one, _ in inner or ()]
    allowed = ALLOWED.get(name, ANY)
    if allowed is not ANY:
        yield from (f"{one} in {name}" for one in names if one not in allowed)
    yield from (f"{name} without {one}" for one in sorted(NEEDED.get(name, set()) - set(names)))
    if name == "stage" and len(BODIES & set(names)) != 1:
        yield f"a stage with {sorted(BODIES & set(names))}; expected one of {sorted(BODIES)}"
    for one, more in inner or ():
        if one in {"steps", *ALLOWED["post"]} and name in {"stage", "post"}:
            yield from of_steps(one, more, functions)
        elif one in ALLOWED and more is not ANY:
            yield from of_block(one, more, functions)


def of_steps(name, inner, functions):
    for one, more in inner or ():
        if one not in STEPS and one not in functions:
            yield f"{one} in {name} is no step that is known here"
        yield from of_steps(one, more, functions)


def test_the_recipe_is_whole():
    assert problems(FILE.read_text()) == []


@pytest.mark.parametrize("right,wrong,problem", [
    ("    agent none\n", "", "pipeline without agent"),
    ("            steps {\n                breakIt()\n            }\n", "", "a stage with []"),
    ("always {", "allways {", "allways in post"),
    ("                axes {", "                axis {", "axis in matrix"),
    ("sumUp()\n                }", "sumup()\n                }", "sumup in always is no step"),
    ("deleteDir()\n    }\n", "deleteDir()\n", "1 blocks without an end"),
    ("stage('Gate') {", "stage('Gate) {", "a string without an end"),
    ("void sumUp() {\n", "void sumUp() {\n    }\n", "a } too many"),
    ("values '16', '17', '18'", "", "axis without values"),
    ("        stage('Gate')", "        steps('Gate')", "steps in stages"),
])  # fmt: skip
def test_a_mistake_of_structure_is_seen(right, wrong, problem):
    text = FILE.read_text()
    assert right in text
    assert any(problem in one for one in problems(text.replace(right, wrong, 1))), problems(text.replace(right, wrong, 1))

"""The command line: every command says what it does; a user's error is one line on stderr and exit status 2."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from jobs.cli import main
from pipeline.models import REGISTRY

CHINCHILLA = Path(__file__).parents[4] / "shared/data/scaling/chinchilla/svg_extracted_data.csv"
CONFIG = """
[run]
output = "out"
seed = 5
[[input]]
name = "web"
paths = ["in/*.jsonl"]
"""
NO_CONFIG = ("no config file at absent.toml", "expected a TOML file", "correct the path")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an input file and one config that is good."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/pages.jsonl").write_text('{"text": "The heron stands still."}\n', encoding="utf-8")
    (tmp_path / "run.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments, prog_name="chaffinch")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, group
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, (*path, name))


COMMANDS = dict(commands(main))


def test_the_commands_that_there_are():
    assert {" ".join(path) for path, command in COMMANDS.items() if not isinstance(command, click.Group)} == {
        "run",
        "explain",
        "report",
        "tokenizer train",
        "tokenizer evaluate",
        "train",
        "scaling fit",
        "scaling regmix",
        "scaling mixture",
        "scaling decide",
        "scaling plan",
        "scaling run",
        "scaling report",
        "scaling null",
        "evaluate choices",
        "evaluate memorisation",
        "export",
        "quality train",
        "quality dsir",
        "quality regress",
        "what-if",
        "thresholds curves",
        "thresholds derive",
        "store list",
        "store check",
        "models fetch",
        "models status",
        "doctor",
    }


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help(path):
    command = COMMANDS[path]
    shown = invoke(*path, "--help")
    assert shown.exit_code == 0 and shown.stderr == ""
    first_sentence = (command.help or "").split(".")[0].split("\n\n")[0]
    assert first_sentence and " ".join(first_sentence.split()) in " ".join(shown.stdout.split())
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.opts[0]} of {path} is not explained"
            assert max(parameter.opts, key=len) in shown.stdout
        else:
            assert parameter.make_metavar(click.Context(command)) in shown.stdout


def refused(*arguments: str) -> str:
    """The one line with which a command is refused."""
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    (line,) = result.stderr.splitlines()
    return line


def assert_in_order(line: str, parts: tuple[str, ...]) -> None:
    place = 0
    for part in parts:
        found = line.find(part, place)
        assert found >= 0, f"{part!r} is not in {line[place:]!r}"
        place = found + len(part)


@pytest.mark.parametrize(
    ("addition", "parts"),
    [
        ("[run", ("bad.toml is not TOML", "line 8", "expected", "mend that line")),
        (
            "[filters.gopher_quality]\nmin_word = 3",
            (
                "unknown key 'min_word' (bad.toml [filters.gopher_quality])",
                "expected one of",
                "did you mean 'min_words'?",
            ),
        ),
        ("[filter]", ("unknown key 'filter' (bad.toml)", "expected one of run, input", "did you mean 'filters'?")),
        ("path = 'x'", ("unknown key 'path' (bad.toml [input.0])", "expected one of name,", "did you mean 'paths'?")),
        ("[mixture]\nsomething = 1", ("unknown key 'something' (bad.toml [mixture])", "expected one of", "remove it")),
        (
            "[filters.c4]\nmin_sentences = 'many'",
            ("min_sentences = 'many' (bad.toml [filters.c4])", "expected an integer", "without quotes"),
        ),
        ("[filters.c4]\nmin_sentences = '3'", ("min_sentences = '3'", "expected an integer", "without quotes")),
        ("[mixture]\nalpha = true", ("alpha = true (bad.toml [mixture])", "expected a number", "change the value")),
        (
            "[filters.c4]\nmin_sentences = true",
            ("min_sentences = true (bad.toml [filters.c4])", "expected a number, or false", "give the number"),
        ),
        ("[read]\nkeep_truncated = 1", ("keep_truncated = 1 (bad.toml [read])", "expected true or false", "change")),
        (
            "[filters.language]\nlanguages = 'en'",
            ("languages = 'en' (bad.toml [filters.language])", "expected a list", "put it into brackets"),
        ),
        (
            "[filters.language]\nlanguages = ['en', 3]",
            ("languages[1] = 3 (bad.toml [filters.language])", "expected a string", "change the value"),
        ),
        ("format = 'xml'", ("format = 'xml' (bad.toml [input.0])", "expected 'auto' or 'warc',", "change the value")),
        ("[filters]\nc4 = 5", ("c4 = 5 (bad.toml [filters])", "expected a table", "change the value")),
        (
            "[mixture]\nvalidation_fraction = 2",
            ("validation_fraction = 2 (bad.toml [mixture])", "expected less than 1", "change the value"),
        ),
        (
            "[filters.fineweb]\nmax_short_line_fraction = nan",
            (
                "max_short_line_fraction = nan (bad.toml [filters.fineweb])",
                "expected less than or equal to 1",
                "change",
            ),
        ),
        (
            "[dedup.minhash]\nnum_perm = 100\nnum_bands = 7",
            ("num_perm=100 is not divisible by num_bands=7", "try 5 or 10", "(bad.toml [dedup.minhash])"),
        ),
        (
            "[train]\nnum_steps = 10\n[train.optimizer]\nwarmup_steps = 20",
            ("warmup_steps=20 leaves none of 10 steps", "try warmup_steps=1", "(bad.toml [train])"),
        ),
        (
            "[filters.gopher_quality]\nmin_words = 9\nmax_words = 3",
            ("min_words = 9 is above max_words = 3", "expected min_words <= max_words", "lower one", "(bad.toml"),
        ),
        (
            "[dedup.exact]\nsurvivor_order = ['size']",
            ("survivor_order [dedup.exact] names 'size'", "expected columns among num_bytes", "correct it"),
        ),
        ("[pii]\nentities = ['MAIL']", ("entities[0] = 'MAIL' (bad.toml [pii])", "expected 'EMAIL_ADDRESS'", "change")),
        (
            "[language]\nmodel = 'absent.ftz'\nsha256 = '" + "0" * 64 + "'",
            ("no model at absent.ftz", "expected", "correct the path", "(bad.toml)"),
        ),
        (
            "[language]\nmodel = 'absent.ftz'",
            ("model 'absent.ftz' has sha256 = None", "expected 64 hex digits", "set sha256", "(bad.toml)"),
        ),
        (
            "[url]\nblocked_domain_files = [{path = 'absent.txt'}]",
            (
                "no file at absent.txt [url.blocked_domain_files]",
                "expected a list, one entry a line",
                "correct the path",
                "(bad.toml)",
            ),
        ),
        (
            "[[input]]\nname = 'more'\npaths = ['nowhere/*.warc']",
            (
                "paths of [[input]] 'more': 'nowhere/*.warc' matches no file",
                "expected at least one",
                "correct the path",
            ),
        ),
        (
            "[[input]]\nname = 'more'\npaths = ['in']",
            ("'more'", "in' is a folder", "expected files", "name", "(bad.toml)"),
        ),
        ("[[input]]\nname = 'web'\npaths = ['x']", ("name 'web' is used by two [[input]]", "distinct", "rename one")),
    ],
)
def test_a_fault_in_the_config(folder, addition, parts):
    (folder / "bad.toml").write_text(CONFIG + addition + "\n", encoding="utf-8")
    for command in (["run", "bad.toml", "--dry-run"], ["run", "bad.toml"], ["tokenizer", "train", "bad.toml"]):
        line = refused(*command)
        assert_in_order(line, parts)
        assert line.startswith("chaffinch: ") and "bad.toml" in line
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "[input]\nname = 'web'\n[run]\noutput = 'x'",
            ("input = {", "(bad.toml)", "expected a list", "write [[input]]"),
        ),
        ("input = []\n[run]\noutput = 'x'", ("input = [] (bad.toml)", "expected at least 1 entry", "change the value")),
        ("[[input]]\nname = 'web'\npaths = ['x']", ("key 'run' is missing (bad.toml)", "expected", "add it")),
        ("[run]\n[[input]]\nname = 'web'\npaths = ['x']", ("key 'output' is missing (bad.toml [run])", "add it")),
    ],
)
def test_a_config_without_what_it_needs(folder, text, parts):
    (folder / "bad.toml").write_text(text, encoding="utf-8")
    assert_in_order(refused("run", "bad.toml"), parts)


def test_two_faults_are_two_lines(folder):
    (folder / "bad.toml").write_text(CONFIG + "[mixture]\nalpha = 2\nmax_epoch = 3\n", encoding="utf-8")
    result = invoke("run", "bad.toml")
    first, second = result.stderr.splitlines()
    assert result.exit_code == 2
    assert "alpha = 2 (bad.toml [mixture]); expected less than or equal to 1" in first
    assert "unknown key 'max_epoch' (bad.toml [mixture])" in second and "did you mean 'max_epochs'?" in second


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("run absent.toml", NO_CONFIG),
        ("train absent.toml", NO_CONFIG),
        ("tokenizer train absent.toml", NO_CONFIG),
        ("run in", ("cannot read config file in", "directory", "expected a readable TOML file", "name one")),
        ("run latin.toml", ("latin.toml is not UTF-8 at byte 2", "expected UTF-8", "save it so")),
        (
            "run run.toml --until extrakt",
            ("--until 'extrakt' is not a stage", "expected one of extract, decide", "name one", "(run.toml)"),
        ),
        (
            "run run.toml --output in/pages.jsonl",
            ("output = 'in/pages.jsonl' [run]", "expected a folder that can be written", "name another", "(run.toml)"),
        ),
        (
            "explain in x",
            ("no run.json in in", "expected the output folder of `chaffinch run`", "name that folder"),
        ),
        ("explain absent x", ("no run.json in absent", "expected the output folder", "name that folder")),
        ("report in", ("no run.json in in", "expected the output folder of `chaffinch run`", "name that folder")),
        ("report absent", ("no run.json in absent", "expected the output folder", "name that folder")),
        (
            "tokenizer evaluate absent.json run.toml",
            ("no tokenizer at absent.json", "expected a tokenizer.json", "train one first"),
        ),
        (
            "tokenizer evaluate in run.toml",
            ("cannot read in", "directory", "expected a tokenizer.json", "check the path"),
        ),
        (
            "tokenizer evaluate run.toml run.toml",
            ("run.toml is no tokenizer.json", "expected struct Tokenizer", "name one"),
        ),
        (
            "scaling fit --points runs.csv --n N --d tokens --loss loss",
            ("no column 'tokens' in runs.csv", "it has N, D, loss", "expected one of these", "name it"),
        ),
        (
            "scaling fit --points absent.csv --n N --d D --loss loss",
            ("no file absent.csv", "expected a CSV of training runs", "check the path"),
        ),
        (
            "scaling fit --points in --n N --d D --loss loss",
            ("cannot read in", "directory", "expected a CSV of training runs", "check the path"),
        ),
        (
            "scaling fit --points runs.csv --n N --loss loss",
            ("expected a column of FLOPs or one of tokens", "give --flops COLUMN or --d COLUMN", "(runs.csv)"),
        ),
        (
            "scaling fit --points runs.csv --n N --d D --loss loss",
            ("1 points for 5 parameters", "expected at least 6 runs", "add some", "(runs.csv)"),
        ),
        (
            "models fetch lid.bin",
            ("no model 'lid.bin' is registered", "expected one of lid.176.ftz", "name that"),
        ),
        ("frobnicate", ("No such command 'frobnicate'", "See `chaffinch --help`")),
        ("run", ("Missing argument 'CONFIG'", "See `chaffinch run --help`")),
        ("run run.toml --untl x", ("--untl", "Did you mean '--until'", "See `chaffinch run --help`")),
        ("--frob", ("No such option '--frob'", "See `chaffinch --help`")),
        (
            "scaling fit --points runs.csv --n N --d D --loss loss --drop-highest -1",
            ("'--drop-highest'", "-1 is not in the range x>=0", "See `chaffinch scaling fit --help`"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_users_error_is_one_line(folder, command, parts):
    (folder / "latin.toml").write_bytes("# é".encode("latin-1"))
    (folder / "runs.csv").write_text("N,D,loss\n1,2,3\n", encoding="utf-8")
    assert_in_order(refused(*command.split()), parts)


def test_a_damaged_run_is_told_in_one_line_too(folder):
    """Not the user's error, so its status is 1."""
    (folder / "run").mkdir()
    (folder / "run/run.json").write_text("{", encoding="utf-8")
    for command in (["report", "run"], ["explain", "run", "x"]):
        result = invoke(*command)
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert_in_order(line, ("ShardError", "run/run.json does not parse", "run again"))


def test_without_a_command_help_is_shown():
    for path in ((), ("tokenizer",), ("models",)):
        assert invoke(*path).output.startswith(" ".join(["Usage: chaffinch", *path]))


def test_a_bug_keeps_its_traceback(folder, monkeypatch):
    def break_down() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("pipeline.models.status", break_down)
    with pytest.raises(ZeroDivisionError):
        invoke("models", "status")


def test_a_dry_run_lists_inputs_and_stages_and_writes_nothing(folder):
    (folder / "all.toml").write_text(CONFIG + "[train]\nnum_steps = 50\n", encoding="utf-8")
    before = sorted(folder.rglob("*"))
    result = invoke("run", "all.toml", "--dry-run", "--output", "elsewhere")
    assert result.exit_code == 0
    assert sorted(folder.rglob("*")) == before
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    size = os.path.getsize("in/pages.jsonl")
    assert lines[0] == f"1 input files, {size} bytes, into {folder / 'elsewhere'}"
    assert lines[1].split() == ["web/pages.jsonl", "jsonl", str(size), "bytes"]
    steps = [line.split()[0] for line in lines[2:]]
    assert steps[:3] == ["extract", "decide", "dedup_exact"] and steps[-1] == "train"
    assert all(" to do " in line for line in lines[2:])


def test_models_status_is_json(folder):
    rows = json.loads(invoke("models", "status", "--json").stdout)
    assert [row["name"] for row in rows] == list(REGISTRY)
    assert {row["state"] for row in rows} <= {"ready", "missing", "damaged"}


def test_doctor_is_json_and_its_status_says_whether_a_run_would_fail(folder):
    result = invoke("doctor", "--json")
    checks = json.loads(result.stdout)
    assert {"name", "ok", "needed", "found", "expected", "mend"} <= set(checks[0])
    fails = any(check["needed"] and not check["ok"] for check in checks)
    assert result.exit_code == (1 if fails else 0)


@pytest.mark.skipif(not CHINCHILLA.exists(), reason="../shared/data/scaling/chinchilla is not here")
@pytest.mark.parametrize("method", ["variable_projection", "huber_lbfgs"])
def test_scaling_fit_on_the_points_of_the_chinchilla_figure(method):
    columns = ["--n", "Model Size", "--flops", "Training FLOP", "--loss", "loss"]
    options = ["--drop-highest", "5", "--method", method, "--json"]
    result = invoke("scaling", "fit", "--points", str(CHINCHILLA), *columns, *options)
    assert result.exit_code == 0
    fitted = json.loads(result.stdout)
    assert fitted["num_points"] == 240
    assert fitted["objective"] <= 1.0182741e-3

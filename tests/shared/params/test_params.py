"""params.yaml: the same to DVC and to the code, and every mistake named with its remedy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import parse_yaml

from pipeline.shared.errors import EXIT_FATAL, UserError
from pipeline.shared.params.file import ParamsError, load_params
from pipeline.shared.params.yaml_file import load_yaml

PROFILES = ("tiny", "laptop", "single_gpu", "paper")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_of_the_shipped_file_is_valid(project: Path, profile: str) -> None:
    assert load_params(project / "params.yaml", profile).profile == profile


def test_the_default_study_is_the_tiny_one(project: Path) -> None:
    assert load_params(project / "params.yaml").profile == "tiny"


def test_the_shipped_file_means_the_same_to_dvc_and_to_the_code(project: Path) -> None:
    path = project / "params.yaml"
    assert load_yaml(path) == parse_yaml(path.read_text(), path)


@pytest.mark.parametrize("text", ["1e-4", "1E6", "1_000", "on", "1:30", "0x1f", "1.", "~"])
def test_a_scalar_means_the_same_to_dvc_and_to_the_code(tmp_path: Path, text: str) -> None:
    path = tmp_path / "value.yaml"
    path.write_text(f"value: {text}\n")
    ours, dvcs = load_yaml(path)["value"], parse_yaml(path.read_text(), path)["value"]
    assert (type(ours), ours) == (type(dvcs), dvcs)


def test_an_override_of_dvcs_changes_one_line(project: Path, tmp_path: Path) -> None:
    """What `dvc exp run -S` does to the file: it writes all of it anew."""
    path = tmp_path / "params.yaml"
    before = (project / "params.yaml").read_text()
    path.write_text(before)
    apply_overrides(str(path), ["profiles.tiny.train.tokens=300000"])
    pairs = zip(before.splitlines(), path.read_text().splitlines(), strict=True)
    changed = [pair for pair in pairs if pair[0] != pair[1]]
    assert changed == [("      tokens: 350_000", "      tokens: 300000")]


def test_json_is_read_where_no_library_for_yaml_is(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load_params(project / "params.yaml")
    path = tmp_path / "params.yaml"
    path.write_text(json.dumps(load_yaml(project / "params.yaml")))
    monkeypatch.setitem(sys.modules, "ruamel.yaml", None)
    assert load_params(path) == expected


def test_what_a_profile_says_wins_over_the_defaults(project: Path, tmp_path: Path) -> None:
    content = load_yaml(project / "params.yaml")
    own = content["profiles"]["tiny"]["dedup"]
    assert "shingle_words" not in own
    own["shingle_words"] = 4
    (tmp_path / "params.yaml").write_text(json.dumps(content))
    changed = load_params(tmp_path / "params.yaml").params
    assert changed.dedup.shingle_words == 4
    assert changed.dedup.num_permutations == content["defaults"]["dedup"]["num_permutations"]
    other = load_params(tmp_path / "params.yaml", "paper").params
    assert other.dedup.shingle_words == content["defaults"]["dedup"]["shingle_words"]


SIZES_TEXT = "sizes:\n- small\n- medium\n- large\n- xl\n"
MISTAKES = [
    (
        "gradient_clip_norm: 1.0",
        "gradient_clip_norm: 0.0",
        r"gradient_clip_norm = 0.0: .*; change it",
    ),
    ("min_score: 3", "min_scor: 3", r"min_scor is no known key; did you mean min_score\?"),
    ("    min_score: 3\n", "", r"profiles\.tiny\.links\.min_score is missing; add it"),
    ("min_score: 3", "min_score: three", r"min_score = 'three'.*; change it"),
    (
        "profile: tiny",
        "profile: tiny\nprofile: tiny",
        r'line \d+, column \d+: found duplicate key "profile"',
    ),
    (
        "profile: tiny",
        "profile: tinny",
        r"profile = 'tinny' is not under profiles; did you mean tiny",
    ),
    ("profile: tiny", "profile: tiny$(touch X)", r"profile = 'tiny\$\(touch X\)', and a name is"),
    ("profile: tiny", "profile: ../..", r"profile = '\.\./\.\.', and a name is text of letters"),
    ("profile: tiny", "profil: tiny", r"profile is missing; add it"),
    (
        "- medium\n",
        "- mediun\n",
        r"profiles\.tiny\.models\.mediun is missing, and sizes names it; did you mean medium\?",
    ),
    (
        "- medium\n",
        "- rung2\n",
        r"profiles\.tiny\.models\.rung2 is missing, and sizes names it; add its shape",
    ),
    (
        "- small\n- medium\n",
        "- medium\n- small\n",
        r"has medium with 75,456 parameters before small with 25,440; put the smallest first",
    ),
    ("- medium\n", "- small\n", r"sizes has 'small' more than once; remove one"),
    ("- medium\n", "- 117\n", r"sizes has 117, .* \(a number in quotes is text\)"),
    ("- medium\n", "- a/b\n", r"sizes has 'a/b', and a name is text of letters"),
    (SIZES_TEXT, "sizes: []\n", r"sizes = \[\] must list the rungs"),
    (SIZES_TEXT, "sizes: small\n", r"sizes = 'small' must list the rungs"),
    (
        "      small: {label: 4x16, n_layer: 4,",
        "      small: {label: 4x16, n_layers: 4,",
        r"models\.small\.n_layers is no known key; did you mean n_layer\?",
    ),
    (
        "gradient_clip_norm: 1.0",
        "gradient_clip_norm: -1",
        r"defaults\.train\.gradient_clip_norm = -1",
    ),
    ("    overlap: {}\n", "", r"profiles\.tiny\.overlap is missing, .*; add `overlap: \{\}`"),
    (
        "    overlap: {}\n",
        "    overlap: 5\n",
        r"profiles\.tiny\.overlap = 5 must be a mapping of keys",
    ),
    ("defaults:\n", "defaults: 3\nsome:\n", r"some is no known key; remove it"),
    ("profiles:\n", "profiles: [\n", r"line \d+, column \d+: .*; mend the YAML there"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_a_mistake_is_one_error_with_file_key_value_and_remedy(
    project: Path, tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    path = tmp_path / "params.yaml"
    text = (project / "params.yaml").read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))
    with pytest.raises(UserError) as caught:
        load_params(path)
    assert str(path) in str(caught.value)
    assert re.search(message, str(caught.value))


def _with(project: Path, folder: Path, key: str, value: str) -> Path:
    """The project's params.yaml with the first `key` of the tiny profile set to `value`."""
    content = load_yaml(project / "params.yaml")
    shared, own = content["defaults"], content["profiles"]["tiny"]
    section = next(name for name in own if key in own[name] | shared.get(name, {}))
    own[section][key] = yaml.safe_load(value)
    path = folder / "params.yaml"
    path.write_text(json.dumps(content))
    return path


def test_two_sizes_that_figures_could_not_tell_apart_are_refused(
    project: Path, tmp_path: Path
) -> None:
    path, content = tmp_path / "params.yaml", load_yaml(project / "params.yaml")
    content["profiles"]["paper"]["models"]["medium"]["label"] = "117M"
    path.write_text(json.dumps(content))
    with pytest.raises(ParamsError, match=r"models\.small and models\.medium .* label, '117M'"):
        load_params(path, "paper")


def test_a_warm_up_longer_than_the_training_is_a_contradiction(
    project: Path, tmp_path: Path
) -> None:
    path = _with(project, tmp_path, "warmup_tokens", "999_999_999_999")
    with pytest.raises(ParamsError, match=r"warmup_tokens = 999999999999 exceeds tokens = \d+"):
        load_params(path)


def test_a_count_may_be_written_with_an_exponent(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    text = (project / "params.yaml").read_text()
    path.write_text(
        text.replace("tokens: 350_000", "tokens: 4e5").replace("order: 1", "order: 3e0")
    )
    params = load_params(path, "tiny").params
    assert (params.train.tokens, type(params.train.tokens)) == (400_000, int)
    assert (params.seeds.order, type(params.seeds.order)) == (3, int)


@pytest.mark.parametrize("value", ["1.5", "350_000.5", ".inf", "true"])
def test_a_count_that_is_not_whole_is_refused(project: Path, tmp_path: Path, value: str) -> None:
    path = tmp_path / "params.yaml"
    text = (project / "params.yaml").read_text()
    path.write_text(text.replace("tokens: 350_000", f"tokens: {value}"))
    with pytest.raises(ParamsError, match=r"profiles\.tiny\.train\.tokens = .* valid integer"):
        load_params(path, "tiny")


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("batch_tokens", "400_000", r"batch_tokens = 400000 exceeds tokens = 350000; lower it"),
        ("compare_at", "[0.001, 0.6]", r"compare_at = .* begins before the first step: 0.001 of"),
    ],
)
def test_a_budget_that_trains_no_step_is_refused(
    project: Path, tmp_path: Path, key: str, value: str, match: str
) -> None:
    path = tmp_path / "params.yaml"
    content = load_yaml(project / "params.yaml")
    section = "train" if key == "batch_tokens" else "tune"
    content["profiles"]["tiny"][section][key] = yaml.safe_load(value)
    path.write_text(json.dumps(content))
    with pytest.raises(ParamsError, match=match):
        load_params(path, "tiny")


def test_a_stride_longer_than_the_context_is_a_contradiction(project: Path, tmp_path: Path) -> None:
    path = _with(project, tmp_path, "strides", "[4096]")
    with pytest.raises(ParamsError, match=r"strides = \[4096\] exceeds the context"):
        load_params(path)


def test_learning_rates_out_of_order_are_refused(project: Path, tmp_path: Path) -> None:
    path = _with(project, tmp_path, "learning_rates", "[1.0e-2, 1.0e-3]")
    with pytest.raises(ParamsError, match="must rise; sort them"):
        load_params(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no mapping; restore it"),
        (b"profile: t\xffny", "byte 11 is not UTF-8; restore the file"),
        (b"profile: t\0ny", "no text: special characters are not allowed; restore the file"),
    ],
)
def test_a_file_that_is_no_text_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(UserError, match=rf"params\.yaml: {said}"):
        load_params(tmp_path / "params.yaml")


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; run from the project's folder"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("compare_at", "[0.2, 1.0]", r"compare_at = \[0.2, 1.0\] begins within the first"),
        ("compare_at", "[1.0, 0.3]", r"compare_at = \[1.0, 0.3\] must rise"),
        ("keep", "[2, 1]", r"keep = \[2, 1\] says how many trials go on .* give 1 numbers"),
        ("keep", "[1, 2]", "keep"),
    ],
)
def test_a_search_that_contradicts_itself_is_refused(
    project: Path, tmp_path: Path, key: str, value: str, match: str
) -> None:
    with pytest.raises(ParamsError, match=match):
        load_params(_with(project, tmp_path, key, value), "tiny")


def test_a_study_has_the_sizes_that_params_yaml_lists_in_its_order_and_no_other_shape(
    project: Path, tmp_path: Path
) -> None:
    text = (project / "params.yaml").read_text()
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(SIZES_TEXT, "sizes: [medium, xl]\n"))
    study = load_params(path, "tiny").params
    assert study.sizes == ("medium", "xl")
    assert study.models["xl"].n_embd == 96


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        ("[medium, small]", ("354,823,168", "124,439,808")),
        ("[xl, large]", ("1,557,611,200", "774,030,080")),
    ],
)
def test_shapes_are_put_in_order_by_the_counts_of_the_released_checkpoints(
    project: Path, tmp_path: Path, sizes: str, counts: tuple[str, str]
) -> None:
    text = (project / "params.yaml").read_text()
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(SIZES_TEXT, f"sizes: {sizes}\n"))
    with pytest.raises(ParamsError, match=f"with {counts[0]} parameters before .* {counts[1]};"):
        load_params(path, "paper")


@pytest.mark.parametrize("size", ["smal", "jumbo"])
def test_a_stage_refuses_a_size_that_the_study_lacks_and_names_the_nearest(
    project: Path, tmp_path: Path, size: str
) -> None:
    command = f"-m pipeline.tune --profile tiny --size {size} --params {project}/params.yaml"
    command += f" --work {tmp_path} --tokens {tmp_path} --out {tmp_path}"
    done = subprocess.run(
        [sys.executable, *command.split()], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == EXIT_FATAL
    remedy = {"smal": "did you mean small?", "jumbo": "choose one of them"}[size]
    has = "params.yaml has sizes = ['small', 'medium', 'large', 'xl']"
    assert f"--size {size}: {project}/{has}; {remedy}" in done.stderr

"""Seeds are drawn alike everywhere: thin lines, their mean, a 95 % t interval; files are stable."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lit_entropy.figures import seeds, style
from lit_entropy.figures.runs import Run

NAN = float("nan")


def run(seed: int, values: list[float], steps: list[float] | None = None) -> Run:
    step = np.arange(len(values), dtype=float) if steps is None else np.array(steps)
    return Run(f"run-{seed}", "GRPO", seed, {"step": step, "key": np.array(values)})


def test_curve_leaves_out_steps_without_the_number():
    step, value = seeds.curve(run(0, [NAN, 2.0, NAN, 3.0]), "key")
    np.testing.assert_array_equal(step, [1, 3])
    np.testing.assert_array_equal(value, [2, 3])


@pytest.mark.parametrize("missing", ["val/accuracy", "step"])
def test_a_missing_or_empty_key_is_named_with_its_run(missing):
    history = {"step": np.array([0.0]), "val/accuracy": np.array([0.5])}
    for broken in (
        {key: value for key, value in history.items() if key != missing},
        history | {missing: np.array([NAN])},
    ):
        with pytest.raises(
            ValueError, match=rf"'run-7' \(label 'GRPO'\) has no finite '{missing}'"
        ):
            seeds.curve(Run("run-7", "GRPO", 7, broken), "val/accuracy")


def test_mean_and_t_interval_by_hand():
    mean = seeds.seed_mean([run(0, [1.0, 4.0]), run(1, [2.0, 4.0]), run(2, [3.0, 4.0])], "key")
    assert mean.seeds == 3
    np.testing.assert_allclose(mean.mean_N, [2, 4], rtol=1e-15)
    # standard deviation 1, standard error 1 / sqrt 3; t (2 degrees of freedom) 4.30265
    np.testing.assert_allclose(mean.half_width_N, [4.302652730 / np.sqrt(3), 0], rtol=1e-9)


def test_the_mean_is_over_the_steps_that_all_seeds_have():
    runs = [run(0, [1.0, 2.0, 3.0]), run(1, [5.0, NAN, 7.0, 9.0])]
    mean = seeds.seed_mean(runs, "key")
    np.testing.assert_array_equal(mean.step_N, [0, 2])
    np.testing.assert_array_equal(mean.mean_N, [3, 5])
    with pytest.raises(ValueError, match=r"run-0.*run-1.*share no RL step"):
        seeds.seed_mean([run(0, [1.0], [0]), run(1, [1.0], [1])], "key")
    with pytest.raises(ValueError, match="no runs to average 'key'"):
        seeds.seed_mean([], "key")


def test_each_seed_is_a_thin_line_below_the_mean_and_its_band():
    axes = Figure().subplots()
    runs = [run(0, [1.0, 4.0]), run(1, [3.0, 6.0]), run(2, [2.0, 5.0])]
    mean = seeds.seed_lines(axes, runs, "key", style.BLUE, "GRPO")
    *thin, thick = axes.lines
    assert [line.get_linewidth() for line in axes.lines] == [0.5, 0.5, 0.5, 1.5]
    for line, seed in zip(thin, runs, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), seed.history["key"])
    np.testing.assert_array_equal(thick.get_ydata(), [2, 5])
    assert thick.get_label() == "GRPO"
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(2 - mean.half_width_N[0], rel=1e-12)
    assert band.max() == pytest.approx(5 + mean.half_width_N[1], rel=1e-12)
    assert {to_rgb(line.get_color()) for line in axes.lines} == {to_rgb(style.BLUE)}


@pytest.mark.parametrize("few, lines, note", [(1, 1, "1 seed"), (2, 3, "2 seeds")])
def test_fewer_than_three_seeds_have_no_band_and_say_so(few, lines, note):
    axes = Figure().subplots()
    runs = [run(seed, [1.0, 4.0 + seed]) for seed in range(few)]
    mean = seeds.seed_lines(axes, runs, "key", style.BLUE, "GRPO")
    assert np.isnan(mean.half_width_N).all()
    assert len(axes.lines) == lines and not axes.collections
    assert axes.lines[-1].get_label() == f"GRPO ({note})"


def luminance(colour: str) -> float:
    """Relative luminance of sRGB (WCAG 2)."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_sequential_colours_run_from_dark_to_light_and_stay_visible_on_white():
    levels = [luminance(colour) for colour in style.sequential_colours(4)]
    assert levels == sorted(levels) and len(set(levels)) == 4
    assert (1 + 0.05) / (levels[-1] + 0.05) > 1.8  # contrast with white
    assert len(style.sequential_colours(1)) == 1


def test_methods_of_one_figure_differ_in_colour_and_marker():
    for methods in (
        ("GRPO", "RLOO", "REINFORCE++", "PRIME"),
        ("GRPO", "clip-higher", "Clip-Cov", "KL-Cov", "policy gradient"),
    ):
        assert len({style.method_colour(method) for method in methods}) == len(methods)
        assert len({style.method_marker(method) for method in methods}) == len(methods)
    assert style.method_marker("my method") == "X"


def test_labels_without_a_colour_of_their_own_get_one_that_is_free():
    labels = ["my loss", "GRPO", "KL-Cov", *"abcde"]
    look = style.looks(labels)
    assert list(look) == labels and look["GRPO"].colour == style.BLACK
    assert len({each.colour for each in look.values()}) == len(labels)
    assert (
        len({(each.colour, each.marker) for each in style.looks(map(str, range(30))).values()})
        == 30
    )


def test_save_writes_both_files_at_print_size_and_the_same_bytes_twice(tmp_path):
    def draw() -> Figure:
        with style.paper_style():
            figure = Figure(figsize=(2.0, 1.0))
            figure.subplots().plot([0, 1])
        return figure

    png, pdf = style.save(draw(), tmp_path / "new" / "figure.2")  # a dot is not a suffix
    assert (png.name, pdf.name) == ("figure.2.png", "figure.2.pdf")
    header = png.read_bytes()
    assert header.startswith(b"\x89PNG") and pdf.read_bytes().startswith(b"%PDF")
    assert int.from_bytes(header[16:20], "big") == 600  # 2 in at 300 dpi
    assert b"/Type3" not in pdf.read_bytes()  # text stays text
    again = style.save(draw(), tmp_path / "again")
    assert [path.read_bytes() for path in again] == [png.read_bytes(), pdf.read_bytes()]

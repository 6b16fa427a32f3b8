"""What is printed: names in files may hold characters that control a terminal, and are printed as escapes."""

from seewhy.cli.terminal import without_controls


def test_controls_become_escapes_and_other_text_stays():
    assert without_controls("a\x1b[31mb\x07\x9b2Jc\x7f") == "a\\x1b[31mb\\x07\\x9b2Jc\\x7f"
    plain = "K\u00e4tzchen \u732b\tone\ntwo \udce9"
    assert without_controls(plain) == plain


def test_class_names_in_a_file_do_not_reach_the_terminal(run, examples, tmp_path):
    names = [f"class {number}\x1b[31m" for number in range(1000)]
    (tmp_path / "names.txt").write_text("\n".join(names), "utf-8")
    code, out, err = run("explain", examples / "cat.png", "--class-names", tmp_path / "names.txt", "--out", tmp_path)
    assert code == 0, err
    assert "\x1b" not in out + err
    assert "\\x1b[31m" in out

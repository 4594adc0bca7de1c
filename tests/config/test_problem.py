from extproc.config.problem import Mark, Problems, format_problems


def test_one_line_a_problem_in_the_order_of_the_file() -> None:
    problems = Problems()
    problems.warning("$.b", Mark(9, 3), "it is odd")
    problems.error("$.a", Mark(2, 1), "it is wrong")
    problems.error("$.a", Mark(2, 1), "it is wrong")
    problems.error("$", Mark(), "there is no such file")

    assert problems.errors == 2
    assert format_problems(problems.listed(), "gateway.yaml").splitlines() == [
        "gateway.yaml: error: there is no such file",
        "gateway.yaml:2:1: error: $.a: it is wrong",
        "gateway.yaml:9:3: warning: $.b: it is odd",
    ]

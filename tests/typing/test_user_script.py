"""The stub from which type checkers and editors know the public names; `make types` checks a user's script by it."""

import ast


def test_public_names_are_those_of_the_stub(root):
    import balr_hf

    stub = ast.parse((root / "balr_hf" / "__init__.pyi").read_text())
    names = [
        (alias.name, alias.asname) for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    assert sorted(name for name, _ in names) == balr_hf.__all__
    assert all(name == again for name, again in names), "a stub exports what it imports `as` itself"

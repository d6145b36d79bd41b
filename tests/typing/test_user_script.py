"""The stub from which type checkers and editors know the public names; `make types` checks a user's script by it."""

import ast


def test_public_names_are_those_of_the_stub(root):
    import balr_hf

    stub = ast.parse((root / "balr_hf" / "__init__.pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    named = {(node.module, alias.name, alias.asname) for node in imports for alias in node.names}
    assert named == {(module, name, name) for module, names in balr_hf.NAMES.items() for name in names}
    assert sorted(name for _, name, _ in named) == balr_hf.__all__


def test_stand_ins_for_a_missing_package_are_hidden_from_type_checkers(root):
    """Else a class has one of two bases for them, and pyright knows nothing of what it inherits."""
    files = [path for kind in ("configuration", "modeling") for path in root.glob(f"balr_hf/*/{kind}_*.py")]
    files += root.glob("balr_hf/*/feature_extraction_*.py")
    handlers = [
        (path.name, handler)
        for path in files
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Try)
        for handler in node.handlers
    ]
    assert {"modeling_wespeaker.py", "modeling_autoencoder.py"} <= {name for name, _ in handlers}
    for name, handler in handlers:
        for statement in handler.body:
            assert isinstance(statement, ast.If), f"{name} has {ast.unparse(statement)} for type checkers too"
            assert ast.unparse(statement.test) == "not TYPE_CHECKING", name

"""The commands of examples/space/README.md make a Space on the local Hub, and the app runs from what is there."""

import re
import shlex
import tomllib

import yaml

UPLOAD = """
    import os, sys
    from huggingface_hub.cli.hf import main
    os.chdir(sys.argv[1])
    sys.argv = ["hf", *sys.argv[2:]]
    main()
"""


def test_space_is_made_by_the_commands_of_its_page(hub, root):
    page = (root / "examples" / "space" / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    name, *commands = block.replace("$SPACE", "me/speaker-comparison").splitlines()
    assert name == "SPACE=me/speaker-comparison"
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "hf"
        hub.run(UPLOAD, root, *words)
    there = hub.server.repository("me/speaker-comparison", "spaces").at("main").files
    wanted = {"app.py", "app.css", "answer.py", "comparison.py", "requirements.txt", "balr_hf/__init__.py"}
    wanted |= {"templates/answer.html.jinja", "resources/models/system-small/model.safetensors"}
    assert wanted <= set(there) and not [path for path in there if path.endswith(".pyc")]
    card = yaml.safe_load(there["README.md"].content.decode().split("---")[1])
    assert card["app_file"] in there
    pinned = re.search(r"^gradio==(.*)$", (root / "constraints-cpu.txt").read_text(), re.MULTILINE)
    assert card["sdk_version"] == pinned[1]


def test_space_installs_what_the_package_needs(root):
    wanted = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    lines = (root / "examples" / "space" / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith(("#", "--"))] == wanted

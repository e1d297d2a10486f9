"""What RabbitMQ is given, without starting it."""

import base64
import hashlib
import json

import pytest

from deborch_cli.local.rabbitmq import EmbeddedRabbitMQ, definitions
from deborch_cli.local.rabbitmq_files import RabbitMQFiles, locate
from deborch_shared.errors import DeborchError


def test_the_definitions_hold_a_salted_hash_and_not_the_password():
    text = json.dumps(definitions("correct horse"))
    assert "correct horse" not in text
    stored = base64.b64decode(json.loads(text)["users"][0]["password_hash"])
    salt, digest = stored[:4], stored[4:]
    assert digest == hashlib.sha256(salt + b"correct horse").digest()


def test_there_is_one_user_and_it_is_not_guest():
    assert [user["name"] for user in json.loads(json.dumps(definitions("x")))["users"]] == ["deborch"]


def test_programs_are_found_whatever_their_version(tmp_path):
    assert locate(tmp_path) is None
    for name in (
        "usr/lib/rabbitmq/lib/rabbitmq_server-9.8.7/sbin/rabbitmq-server",
        "usr/lib/erlang/erts-99.1/bin/epmd",
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    found = locate(tmp_path)
    assert found is not None
    assert found.server.parent.parent.name == "rabbitmq_server-9.8.7"
    assert found.erts.name == "erts-99.1"
    assert found.unpacked


@pytest.mark.parametrize("name", ["", "a b", 'x">>, halt(), <<"', "ä"])
async def test_a_vhost_name_cannot_carry_erlang(tmp_path, name):
    broker = EmbeddedRabbitMQ(tmp_path, RabbitMQFiles(tmp_path, tmp_path, tmp_path))
    with pytest.raises(DeborchError, match="no name for a virtual host"):
        await broker.add_vhost(name)

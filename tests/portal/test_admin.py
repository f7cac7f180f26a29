"""The admin: what models are called there, and what may be deleted."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.utils.functional import Promise

from measurements.models import Cluster, Feed, Node, NodeConfig, NodeType, Token
from measurements.services.machine import create_cluster
from measurements.services.tokens import make_token, revoke_token
from tests.portal import world

pytestmark = pytest.mark.django_db
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


# --- Names of models ------------------------------------------------------------------------------


def test_models_in_the_admin_have_names_that_can_be_translated() -> None:
    shown = set(admin.site._registry) | {row.model for one in admin.site._registry.values() for row in one.inlines}
    ours = [model for model in shown if model._meta.app_label == "measurements"]
    assert len(ours) > 20
    for model in ours:
        assert isinstance(model._meta.verbose_name, Promise), model
        assert isinstance(model._meta.verbose_name_plural, Promise), model


def test_no_plural_of_a_model_is_an_s_that_was_put_behind() -> None:
    plurals = [str(model._meta.verbose_name_plural) for model in apps.get_app_config("measurements").get_models()]
    assert [plural for plural in plurals if re.search(r"([^aeiou]y|ch|sh|s|x)s$", plural)] == []


def test_the_admin_calls_batches_and_supplies_so(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    page = client.get("/admin/").content.decode()
    assert "Batches" in page
    assert "Electricity supplies" in page
    assert not re.search("Batchs|Supplys", page)


# --- Clusters by a typing error -------------------------------------------------------------------


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def delete(client: Client, cluster: Cluster) -> str:
    """Ask for it, confirm it; the words of the page it leads to."""
    address = f"/admin/measurements/cluster/{cluster.pk}/delete/"
    asked = client.get(address, follow=True)
    done = client.post(address, {"post": "yes"}, follow=True)
    assert (asked.status_code, done.status_code) == (200, 200)
    return re.sub(r"<[^>]*>", "", done.content.decode())


def test_a_cluster_that_holds_nothing_is_deleted_with_what_describes_it(root: Client) -> None:
    cluster, other = create_cluster("alhpa"), create_cluster("alpha")
    kind = NodeType.objects.create(cluster=cluster, name="a")
    NodeConfig.objects.create(node=Node.objects.create(cluster=cluster, name="n1"), node_type=kind)
    token, _ = make_token(cluster, "rack", [Token.Scope.POWER_WRITE], by="root", now=NOW)
    feed = Feed.objects.create(cluster=cluster, name="f", kind="slurm-jobs", every_s=60, late_after_s=60)
    said = delete(root, cluster)
    assert (
        "Cluster alhpa is not deleted: it holds tokens, feeds. Only a cluster that holds nothing can be deleted."
        in said
    )
    revoke_token(token, NOW)
    feed.delete()
    assert "was deleted successfully" in delete(root, cluster)
    assert list(Cluster.objects.all()) == [other]
    assert not NodeType.objects.exists()
    assert not Token.objects.exists()


@pytest.mark.usefixtures("site")
def test_a_cluster_that_holds_something_stays_and_is_said_why(root: Client) -> None:
    cluster = Cluster.objects.get(name=world.CLUSTER)
    before = Node.objects.count()
    said = delete(root, cluster)
    held = said.split("Cluster alpha is not deleted: it holds ")[1].split(".")[0]
    assert {"nodes", "jobs", "batches"} <= set(held.split(", "))
    assert Node.objects.count() == before
    chosen = {"action": "delete_selected", "_selected_action": [cluster.pk], "post": "yes"}
    root.post("/admin/measurements/cluster/", chosen)
    assert Cluster.objects.filter(pk=cluster.pk).exists(), "nor from the list"


def test_who_may_not_delete_clusters_deletes_none(client: Client) -> None:
    cluster = create_cluster("alhpa")
    client.force_login(User.objects.create_user("staff", is_staff=True))
    assert client.post(f"/admin/measurements/cluster/{cluster.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Cluster.objects.exists()

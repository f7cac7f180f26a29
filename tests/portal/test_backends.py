"""Permissions come in one query, and are those that Django itself gives."""

from __future__ import annotations

import pytest
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group, Permission, User
from pytest_django import DjangoAssertNumQueries

from portal.backends import OneQueryBackend
from tests.conftest import People

ASKED = ("view_all_jobs", "view_operations", "manage_factors")


def permission(name: str) -> Permission:
    return Permission.objects.get(codename=name)


@pytest.fixture
def oskar(people: People) -> User:
    """One permission of his own, two of a group, one of them the same."""
    user = User.objects.create_user("oskar")
    user.user_permissions.add(permission("view_all_jobs"))
    group = Group.objects.create(name="operators")
    group.permissions.add(permission("view_all_jobs"), permission("view_operations"))
    user.groups.add(group)
    return user


def test_they_are_django_s_own(oskar: User, people: People) -> None:
    for user in (oskar, people.alice, people.olga):
        fresh = [User.objects.get(pk=user.pk) for _ in range(2)]
        assert OneQueryBackend().get_all_permissions(fresh[0]) == ModelBackend().get_all_permissions(fresh[1])
    assert [oskar.has_perm(f"measurements.{name}") for name in ASKED] == [True, True, False]


def test_one_query_for_all_of_them(oskar: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        assert not oskar.has_perm("measurements.manage_factors")
        assert oskar.has_perm("measurements.view_operations")


def test_whoever_is_not_active_has_none(oskar: User) -> None:
    oskar.is_active = False
    oskar.save()
    assert OneQueryBackend().get_all_permissions(User.objects.get(pk=oskar.pk)) == set()

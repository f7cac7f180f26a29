"""Words of factors in templates."""

from __future__ import annotations

from django import template

from portal.factor_rows import raised
from portal.steps import basis_word, mix_word

register = template.Library()
register.filter("basis", basis_word)
register.filter("mix", mix_word)
register.filter("gas", raised)

"""Small numbers and sentences of the operators' pages."""

from __future__ import annotations

from django import template

from portal import wording_batches, wording_imports
from portal import wording_operations as wording
from portal.cures import cure_of, cure_of_tried, on_page
from portal.wording import source_name
from portal.wording_reasons import identifier, in_quarantine, reason_name

register = template.Library()
register.filter("small_energy", wording.small_energy)
register.filter("small_share", wording.small_share)
register.filter("node_hours", wording.node_hours)
register.filter("level_word", wording.level_word)
register.filter("cure", cure_of)
register.filter("cure_of_tried", cure_of_tried)
register.filter("on_page", on_page)
register.filter("reason_name", reason_name)
register.filter("identifier", identifier)
register.filter("in_quarantine", in_quarantine)
register.filter("source_name", source_name)
register.filter("example", wording_batches.example_of)
register.filter("tail", wording_batches.tail)
register.filter("asked_again", wording_batches.asked_again)
register.filter("import_fault", wording_imports.brief)
register.filter("file_name", wording_imports.file_name)
register.filter("folder", wording_imports.folder)
register.filter("file_size", wording_imports.size)
register.filter("import_shape", wording_imports.shape)
register.filter("import_state", wording_imports.state)

"""Uploads of the import console: each file goes to disk as it comes, below JOULEBOOK_VAR, as far as there is room.

What is too much is read and thrown away, so that the answer can say why: a server that hangs up is no sentence.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest
from django.utils.translation import gettext as _

from measurements.services.giving import AT_ONCE, Upload, room_for

FIELD = "files"
LAST_FIELD = "all_here"  # the form's last one: without it the body broke off


class SpoolUploads(FileUploadHandler):
    """Takes the files of one form; whatever is not given on in the end is removed."""

    chunk_size = 1 << 20

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        self.uploads: list[Upload] = []
        self.fault = ""
        self._current: Upload | None = None
        self._room = settings.IMPORT_MIB << 20

    def handle_raw_input(
        self, input_data: Any, META: Any, content_length: int, boundary: Any, encoding: str | None = None
    ) -> None:
        """Look at the size that is said before anything is read."""
        if content_length > self._room + (1 << 20):  # beside the files stand the other fields
            self._refuse_size()
        elif not room_for(content_length):
            self._refuse_full()

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        """Begin with a file, unless it is known already that nothing is kept."""
        super().new_file(field_name, file_name, *args, **kwargs)
        if len(self.uploads) >= AT_ONCE:
            self.fault = _("At most %(count)d files can be given at once.") % {"count": AT_ONCE}
        if self.fault or field_name != FIELD:
            raise SkipFile
        try:
            self._current = Upload(file_name)
        except OSError:
            self._refuse_full()
            raise SkipFile from None
        self.uploads.append(self._current)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write a piece; the first that does not fit ends it all."""
        self._room -= len(raw_data)
        if self._room < 0:
            self._refuse_size()
            raise SkipFile
        try:
            if self._current:
                self._current.write(raw_data)
        except OSError:
            self._refuse_full()
            raise SkipFile from None

    def file_complete(self, file_size: int) -> UploadedFile[bytes] | None:
        """It is all here, and on disk."""
        try:
            if self._current:
                self._current.close()
        except OSError:
            self._refuse_full()
        self._current = None
        return None

    def upload_interrupted(self) -> None:
        """The sender is gone."""
        self.discard()

    def discard(self) -> None:
        """Remove what was not given on."""
        for upload in self.uploads:
            upload.discard()
        self.uploads = []

    def _refuse_size(self) -> None:
        self.fault = _("Together the files are larger than %(mib)d MiB: give them by path, or with the command.") % {
            "mib": settings.IMPORT_MIB
        }
        self.discard()

    def _refuse_full(self) -> None:
        self.fault = _("There is no room for it on the disk of JOULEBOOK_VAR: make room, then give it again.")
        self.discard()

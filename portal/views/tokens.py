"""`/operations/tokens/`: what senders show instead of a login: made, seen at work, revoked."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from measurements.models import Token
from measurements.selectors.tokens import token_states
from measurements.services.tokens import NameTaken, TokenFault, make_token, revoke_token
from portal.noting import note_change
from portal.token_forms import TokenForm
from portal.views.operators import operators_only, operators_who

MANAGE = ("measurements.add_token", "measurements.change_token")


@require_safe
@operators_only
def page(request: HttpRequest) -> HttpResponse:
    """Show all tokens: who sends, when last, who is late."""
    states = token_states(timezone.now())
    context = {
        "states": states,
        "late": sum(state.late and not state.refused for state in states),
        "refused": sum(state.refused for state in states),
        "ended": sum(state.knocks for state in states),
        "ending": sum(state.ends_soon for state in states),
        "usable": sum(state.usable for state in states),
        "may_make": request.user.has_perms(MANAGE),
    }
    return render(request, "portal/operations/tokens.html", context)


@sensitive_variables("secret")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@operators_who(*MANAGE)
def new(request: HttpRequest) -> HttpResponse:
    """Ask for a token, make it, and show its secret: this once, in the answer itself, for it is kept nowhere."""
    form = TokenForm(request.POST or None, label_suffix="")
    context: dict[str, Any] = {"form": form}
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            token, secret = make_token(
                said["cluster"],
                said["name"],
                said["scopes"],
                by=request.user.get_username(),
                now=timezone.now(),
                expires_at=form.expires_at(),
                late_after_s=said["late_after_s"],
            )
        except NameTaken:
            form.add_error("name", _("This cluster has a token of this name already."))
        except TokenFault as fault:
            form.add_error("name", str(fault))
        else:
            note_change(request, token, ADDITION, "made")
            context |= {"token": token, "secret": secret}
    return render(request, "portal/operations/token_new.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@operators_who(*MANAGE)
def revoke(request: HttpRequest, token: int) -> HttpResponse:
    """Ask whether a token is to end, and end it."""
    row = get_object_or_404(Token.objects.select_related("cluster"), pk=token)
    if request.method == "POST":
        if revoke_token(row, timezone.now()):
            note_change(request, row, CHANGE, "revoked")
        messages.success(request, _("%(name)s is revoked: nothing more is taken with it.") % {"name": row.name})
        return redirect("tokens")
    return render(request, "portal/operations/token_revoke.html", {"token": row})

"""manage.py set_factors: what prices a cluster's energy, from a day on."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from measurements.domain.carbon import Basis, Method
from measurements.domain.units import EPOCH_DAY, ms_from_datetime
from measurements.management.base import NOTHING_USABLE, USAGE, JoulebookCommand, cluster_named, now, utc_day
from measurements.management.factor_words import effect_json, effect_words, listed, row_words, until_then
from measurements.models import Cluster, IntensitySeries, SiteFactor, Supply
from measurements.parsers.tariff_bands import WrongBand, check_bands, read_band
from measurements.selectors.declaration_effect import effect_of
from measurements.selectors.in_force import Candidate
from measurements.selectors.zones import default_series, near_slugs, near_zones
from measurements.services.declaring import By, NotDeclarable, contract_series, factor, node_type, supply
from measurements.services.pricing import add_rows

NONE = "none"
Kind = SiteFactor.Kind
_TYPED = {"pue": Kind.PUE, "infrastructure": Kind.INFRASTRUCTURE, "wue": Kind.WUE, "renewable": Kind.RENEWABLE}
_PLACES = ("slots", "monthly", "yearly")


def value_or_none(text: str) -> float | None:
    """A number, or none: not declared any more."""
    return None if text == NONE else float(text)


value_or_none.__name__ = "number or none"  # argparse names it so


class Command(JoulebookCommand):
    """Declares series, PUE, tariff and the like; rows are only added, the newest of a date holds."""

    help = (
        "Declares what prices a cluster's energy from a day on: carbon intensity, PUE, shared infrastructure, tariff, "
        "water, embodied emissions, renewable share. Nothing that was declared is changed: the newest row of a date "
        "holds, and days already booked are priced anew. 'none' ends a declaration."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What is declared, of which cluster, from when, why."""
        parser.add_argument("--cluster", metavar="C", required=True)
        parser.add_argument("--since", metavar="D", type=utc_day, help="first local day; none: from the beginning")
        self._series_arguments(parser)
        self._typed_arguments(parser)
        why = parser.add_argument_group("where a typed value is from")
        why.add_argument("--source", metavar="TEXT", default="", help="a report, a contract, a meter")
        why.add_argument("--url", metavar="U", default="")
        why.add_argument("--reason", metavar="TEXT", default="")
        parser.add_argument("--list", action="store_true", help="show what is declared, and what of it is in force")
        parser.add_argument("--dry-run", action="store_true", help="only say what would change")
        self.add_json(parser)

    def _series_arguments(self, parser: CommandParser) -> None:
        grid = parser.add_argument_group("carbon intensity, location-based")
        grid.add_argument("--zone", metavar="Z", help="DE, FR, …: the packaged series of this zone, and no other")
        grid.add_argument("--yearly", metavar="SLUG", help="a series with values of years")
        grid.add_argument("--monthly", metavar="SLUG", help="a series with values of months")
        grid.add_argument("--slots", metavar="SLUG", help="a series with values of hours or quarter hours")
        market = parser.add_argument_group("carbon intensity, market-based")
        market.add_argument("--market-yearly", metavar="SLUG", help="a series of a supplier or a residual mix")
        market.add_argument(
            "--market-value", metavar="G", type=float, help="g CO2e/kWh of the contract in --since's year"
        )
        market.add_argument("--market-source", metavar="TEXT", help="the contract or the supplier's disclosure")
        market.add_argument("--market-basis", choices=[b.value for b in Basis], default=Basis.DIRECT.value)
        market.add_argument("--market-mix", choices=["supplier", "residual"], default="supplier")

    def _typed_arguments(self, parser: CommandParser) -> None:
        typed = parser.add_argument_group("typed values; each needs --source")
        number: dict[str, Any] = {"type": value_or_none, "default": ...}
        typed.add_argument("--pue", metavar="V", help="facility ÷ IT energy, 1 or more", **number)
        typed.add_argument(
            "--pue-category", choices=["1", "2", "3"], help="of ISO/IEC 30134-2: where IT energy is metered"
        )
        typed.add_argument("--infrastructure", metavar="SHARE", help="÷ the nodes' energy: 0.176", **number)
        typed.add_argument("--tariff", metavar="PRICE", help="per kWh of the facility", **number)
        typed.add_argument("--currency", metavar="EUR", default="EUR")
        typed.add_argument(
            "--tariff-band", metavar="BAND", action="append", help="'mon-fri 08:00-20:00 0.31'; repeat it"
        )
        typed.add_argument("--wue", metavar="V", help="litres per kWh of IT energy", **number)
        typed.add_argument(
            "--embodied", metavar="TYPE=KG[,LOW,HIGH]", action="append", help="kg CO2e of a node; repeat it"
        )
        typed.add_argument("--lifetime", metavar="YEARS", type=float, help="of --embodied")
        typed.add_argument("--renewable", metavar="SHARE", help="of the electricity, 0 to 1", **number)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Declare, or show."""
        cluster, at = cluster_named(options["cluster"]), now()
        if options["list"]:
            self._list(cluster, at, as_json=options["json"])
            return
        with _refusals(), transaction.atomic():
            asked = _Asked(cluster, options, at)
            supplies, factors = asked.supplies(), asked.factors()
            if not supplies and not factors:
                raise CommandError("nothing is declared: see --help, or --list", returncode=USAGE)
            effect = None
            days = 0
            if options["dry_run"]:
                candidate = Candidate(supplies=supplies, site_factors=factors)
                effect = effect_of(cluster, asked.by.valid_from, ms_from_datetime(at), candidate)
                transaction.set_rollback(True)
            else:
                days = add_rows(cluster, [*supplies, *factors], at)
        self._say_done([*supplies, *factors], days, effect, options)

    def _list(self, cluster: Cluster, at: datetime, *, as_json: bool) -> None:
        rows = listed(cluster, at)
        if as_json:
            self.print_json({"cluster": cluster.name, "declared": rows})
            return
        for row in rows:
            self.stdout.write(f"{'in force' if row['in_force'] else '        '}  {row['words']}")
        if not rows:
            self.say(f"nothing is declared of {cluster.name}; set_factors --cluster {cluster.name} --zone DE, for one")

    def _say_done(self, rows: Sequence[Supply | SiteFactor], days: int, effect: Any, options: dict[str, Any]) -> None:
        words = [row_words(row) for row in rows]
        for note in filter(None, (until_then(row.cluster, row) for row in rows)):
            self.say(note)
        if options["json"]:
            said: dict[str, Any] = {"dry_run": options["dry_run"], "declared": words, "days_priced": days}
            self.print_json(said | ({"effect": effect_json(effect)} if effect else {}))
            return
        for line in words:
            self.stdout.write(f"{'would declare' if effect else 'declared'}: {line}")
        for line in effect_words(effect) if effect else [f"{days} days priced anew"]:
            self.stdout.write(line)


class _Asked:
    """The rows that the options ask for, not stored."""

    def __init__(self, cluster: Cluster, options: dict[str, Any], at: datetime) -> None:
        self.cluster, self.options, self.at = cluster, options, at
        self.by = By(
            valid_from=options["since"] or EPOCH_DAY,
            author=_me(),
            reason=options["reason"],
            source=options["source"],
            url=options["url"],
        )

    def supplies(self) -> list[Supply]:
        """Location-based, market-based."""
        zone = self._zone()
        made = []
        named = {place: self.options[place] for place in _PLACES if self.options[place]}
        if named or zone:
            changes: dict[str, IntensitySeries | None] = {"yearly": zone} if zone else {}
            changes |= {place: None if slug == NONE else _series(slug) for place, slug in named.items()}
            made.append(supply(self.cluster, Method.LOCATION, changes, self.by, afresh=zone is not None))
        market = self._market(made)
        if market is not None:
            made.append(supply(self.cluster, Method.MARKET, {"yearly": market}, self.by, afresh=True))
        elif self.options["market_yearly"] == NONE:
            made.append(supply(self.cluster, Method.MARKET, {}, self.by, afresh=True))
        return made

    def _zone(self) -> IntensitySeries | None:
        zone = self.options["zone"]
        if not zone:
            return None
        found = default_series(zone)
        if found is None and self.options["yearly"] not in {None, NONE}:
            found = _series(self.options["yearly"])  # a zone without a packaged series, of which the site has one
        if found is None or found.zone != zone:
            near = ", ".join(near_zones(zone))
            cure = f"zones there are: {near}" if near else "run manage.py load_factors first"
            raise NotDeclarable(
                f"no packaged lifecycle series of zone {zone!r}; {cure}; or name a series with --yearly"
            )
        return found

    def _market(self, made: Sequence[Supply]) -> IntensitySeries | None:
        slug, value = self.options["market_yearly"], self.options["market_value"]
        if slug and value is not None:
            raise NotDeclarable("--market-yearly and --market-value: choose one")
        if slug:
            return None if slug == NONE else _series(slug)
        if value is None:
            return None
        if not self.options["market_source"] or self.options["since"] is None:
            raise NotDeclarable(
                "--market-value needs --market-source TEXT and --since D: a contract's value is of a year"
            )
        by = By(self.by.valid_from, self.by.author, self.by.reason, self.options["market_source"], self.by.url)
        zone = self._zone_in_force(made)
        basis, mix = Basis(self.options["market_basis"]), self.options["market_mix"]
        return contract_series(self.cluster, value, by, self.at, zone=zone, basis=basis, mix=mix)

    def _zone_in_force(self, made: Sequence[Supply]) -> str:
        grid = made[0] if made else supply(self.cluster, Method.LOCATION, {}, self.by)
        series = next((getattr(grid, place) for place in _PLACES if getattr(grid, place)), None)
        if series is None:
            raise NotDeclarable("the zone is not known: declare it as well, with --zone")
        return str(series.zone)

    def factors(self) -> list[SiteFactor]:
        """PUE, infrastructure, tariff, water, embodied, renewable share."""
        given = {name: self.options[name] for name in _TYPED if self.options[name] is not ...}
        category = self.options["pue_category"]
        if category and given.get("pue") is None:
            raise NotDeclarable("--pue-category belongs to a --pue")
        rows = [
            factor(self.cluster, _TYPED[name], value, self.by, detail=_category(category) if name == "pue" else {})
            for name, value in given.items()
        ]
        return [*rows, *self._tariff(), *self._embodied()]

    def _tariff(self) -> Iterator[SiteFactor]:
        price, bands = self.options["tariff"], [read_band(text) for text in self.options["tariff_band"] or []]
        if price is ...:
            if bands:
                raise NotDeclarable("--tariff-band needs --tariff: the price outside of the bands")
            return
        check_bands(bands)
        currency = self.options["currency"]
        if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
            raise NotDeclarable(f"--currency {currency!r}: give three capital letters, such as EUR")
        detail = {"bands": bands} if bands else {}
        yield factor(self.cluster, Kind.TARIFF, price, self.by, unit=f"{currency}/kWh", detail=detail)

    def _embodied(self) -> Iterator[SiteFactor]:
        years = self.options["lifetime"]
        for text in self.options["embodied"] or []:
            name, _, numbers = text.rpartition("=")
            kind = node_type(self.cluster, name)
            low, value, high = _band_of(numbers, text)
            detail = {"lifetime_years": years} if value is not None else {}
            yield factor(self.cluster, Kind.EMBODIED, value, self.by, node_type=kind, low=low, high=high, detail=detail)


@contextmanager
def _refusals() -> Iterator[None]:
    """What cannot be declared ends the command with the reason and the cure; nothing is stored."""
    try:
        yield
    except (NotDeclarable, WrongBand) as fault:
        raise CommandError(str(fault), returncode=NOTHING_USABLE) from fault


def _series(slug: str) -> IntensitySeries:
    found = IntensitySeries.objects.filter(slug=slug).first()
    if found is None:
        near = ", ".join(near_slugs(slug))
        raise NotDeclarable(
            f"no series {slug!r}; {f'near to it: {near}' if near else 'import it or load_factors first'}"
        )
    return found


def _category(category: str | None) -> dict[str, str]:
    return {"category": f"PUE{category}"} if category else {}


def _band_of(numbers: str, text: str) -> tuple[float | None, float | None, float | None]:
    """Low, central, high."""
    if numbers == NONE:
        return None, None, None
    try:
        value, *rest = map(float, numbers.split(","))
        low, high = rest or (None, None)
    except ValueError as fault:
        raise NotDeclarable(f"--embodied {text!r}: write TYPE=KG or TYPE=KG,LOW,HIGH") from fault
    return low, value, high


def _me() -> str:
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):  # a user without a name, as in a container
        return "command line"

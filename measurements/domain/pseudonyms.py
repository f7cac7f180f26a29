"""Names for people in one edition of a leaderboard: drawn anew each time, so that two editions can't be joined."""

from __future__ import annotations

import secrets

_FIRST = """
amber ashen azure beige birch blue brass brown cedar cherry chestnut clay cloudy cobalt copper coral crimson dappled
dusky earthen ebony emerald fawn flaxen foggy frosty ginger golden grassy green grey hazel indigo inky iron ivory jade
lilac lime linen maple marble mauve mint misty mossy navy ochre olive opal orange pearl pebbly pewter pine plum purple
rainy red rosy ruby russet rusty sage sandy scarlet sepia sienna silver slate snowy steel straw tawny teal topaz umber
velvet violet walnut white willow windy
""".split()  # noqa: SIM905 - a list of words is read as words
_SECOND = """
alder aspen auk avocet badger beaver beech bittern blackbird bluebell bunting buzzard chaffinch clover cormorant crane
cricket crocus curlew daisy dipper dolphin dove dragonfly dunlin dunnock egret eider elder elk falcon fern finch
firefly fox gannet godwit goldcrest goshawk grebe gull hare harrier hawthorn heather heron hobby holly hoopoe ibis
iris ivy jackdaw jay juniper kestrel kingfisher kite lapwing lark larch linnet lynx magpie mallow marten merlin moth
newt nightjar nuthatch oak oriole osprey otter ouzel owl oyster petrel pipit plover poppy puffin quail raven redstart
robin rook rowan ruff salmon seal shrike siskin skua snipe sparrow spruce starling stoat stork swallow swan swift
teasel tern thistle thrush trout twite vole wagtail warbler waxwing whimbrel willet woodcock wren yarrow yew
""".split()  # noqa: SIM905 - a list of words is read as words


def fresh(count: int) -> list[str]:
    """So many different names, by the system's random numbers: nothing can draw them again."""
    pairs = len(_FIRST) * len(_SECOND)
    chosen = secrets.SystemRandom().sample(range(pairs * (1 + count * 4 // pairs)), count)
    return [_name(number, pairs) for number in chosen]


def _name(number: int, pairs: int) -> str:
    turn, pair = divmod(number, pairs)
    first, second = divmod(pair, len(_SECOND))
    return f"{_FIRST[first]}-{_SECOND[second]}" + (f"-{turn + 1}" if turn else "")

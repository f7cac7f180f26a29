// Where one can go from a part of a curve: as measurements/domain/curves.py `moves` does it. Times are ms, whole ones.

export function moved(name, shown, whole) {
  const length = shown.end - shown.start;
  const middle = Math.floor((shown.start + shown.end) / 2);
  const half = Math.floor(length / 2);
  return {
    in: () => about(middle, half, whole),
    out: () => about(middle, 2 * length, whole),
    left: () => about(middle - half, length, whole),
    right: () => about(middle + half, length, whole),
    whole: () => ({ start: whole.start, end: whole.end }),
  }[name]();
}

// The part between two instants, in either order, widened about its middle if it is too short.
export function between(one, other, whole) {
  const [start, end] = [Math.min(one, other), Math.max(one, other)].map(Math.round);
  return about(Math.floor((start + end) / 2), end - start, whole);
}

// In or out by a factor, so that one instant stays where it is.
export function around(at, factor, shown, whole) {
  const length = bounded((shown.end - shown.start) * factor, whole);
  const share = (at - shown.start) / (shown.end - shown.start);
  return about(Math.floor(at + (0.5 - share) * length), length, whole);
}

export function same(one, other) {
  return one.start === other.start && one.end === other.end;
}

function about(middle, wanted, whole) {
  const length = bounded(wanted, whole);
  const start = Math.min(Math.max(middle - Math.floor(length / 2), whole.start), whole.end - length);
  return { start, end: start + length };
}

function bounded(length, whole) {
  return Math.min(Math.max(Math.round(length), whole.shortest), whole.end - whole.start);
}

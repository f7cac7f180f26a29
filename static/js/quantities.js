// Numbers as a person reads them; portal/quantities.py says the same on the server, from the
// same table: of a quantity its units, each with how many J or W one of them is.

const NBSP = "\u00a0";
const DIGITS = 3;
const NEXT_PREFIX = 1000;

export function unitFor(value, units) {
  const smaller = units.slice(0, -1);
  const found = smaller.find(([, size]) => Math.abs(rounded(value / size)) < NEXT_PREFIX);
  return found ?? units.at(-1);
}

export function formatQuantity(value, units, language) {
  const [label, size] = unitFor(value, units);
  return `${formatNumber(value / size, language)}${NBSP}${label}`;
}

export function formatNumber(value, language) {
  const format = new Intl.NumberFormat(language, {
    minimumSignificantDigits: value === 0 ? 1 : DIGITS,
    maximumSignificantDigits: DIGITS,
    useGrouping: false,
  });
  return format.format(value).replace("-", "\u2212");
}

function rounded(value) {
  return Math.sign(value) * Number(Math.abs(value).toPrecision(DIGITS));
}

//! Decimal numbers as whole multiples of a small unit, without a detour through binary fractions.

use std::fmt;

/// Why a text is not such a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NotDecimal {
    NotANumber,
    TooLarge,
}

impl fmt::Display for NotDecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "is no number",
            Self::TooLarge => "is too large a number",
        })
    }
}

/// Digits of a mantissa that can still change a result.
const DIGITS_MAX: u32 = 30;

/// `text` in units of 10^-`places`, rounded to the nearest, halves away from zero: `1.5` with 3
/// places is 1500. Takes a sign, a fraction and an exponent; neither infinity nor "not a number".
pub(super) fn decimal(text: &str, places: u32) -> Result<i64, NotDecimal> {
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(NotDecimal::NotANumber);
    }
    let (mut value, mut digits, mut shift) = (0_u128, 0, i64::from(places) + exponent);
    for (text, is_fraction) in [(whole, false), (fraction, true)] {
        for byte in text.bytes() {
            if !byte.is_ascii_digit() {
                return Err(NotDecimal::NotANumber);
            }
            if digits < DIGITS_MAX {
                value = value * 10 + u128::from(byte - b'0');
                digits += u32::from(value > 0);
                shift -= i64::from(is_fraction);
            } else {
                shift += i64::from(!is_fraction);
            }
        }
    }
    let scaled = scale(value, shift).ok_or(NotDecimal::TooLarge)?;
    let scaled = i64::try_from(scaled).map_err(|_| NotDecimal::TooLarge)?;
    Ok(if negative { -scaled } else { scaled })
}

fn read_exponent(text: &str) -> Result<i64, NotDecimal> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotDecimal::NotANumber);
    }
    // Whatever does not fit in i32 is as good as its end.
    let size = digits.parse::<i32>().unwrap_or(i32::MAX);
    Ok(if text.starts_with('-') { -i64::from(size) } else { i64::from(size) })
}

/// `value` · 10^`shift`.
fn scale(value: u128, shift: i64) -> Option<u128> {
    if value == 0 {
        return Some(0);
    }
    let power = u32::try_from(shift.unsigned_abs()).ok().and_then(|by| 10_u128.checked_pow(by));
    match (shift >= 0, power) {
        (true, Some(power)) => value.checked_mul(power),
        (true, None) => None,
        (false, Some(power)) => Some((value + power / 2) / power),
        (false, None) => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_exact() {
        let cases = [
            ("0", 0),
            ("7", 7_000_000_000),
            ("-0.25", -250_000_000),
            ("+1.", 1_000_000_000),
            (".5", 500_000_000),
            // What a binary fraction of this size would lose.
            ("1700000000.123456789", 1_700_000_000_123_456_789),
            ("5160.142570018768", 5_160_142_570_019),
            ("1e3", 1_000_000_000_000),
            ("1.5E-3", 1_500_000),
            ("0.0000000005", 1),
            ("0.0000000004", 0),
            ("1e-400", 0),
            ("0e999999999999", 0),
            ("0.10000000000000000000000000000000000000000000001", 100_000_000),
            ("00000000000000000000000000000000000000000000001", 1_000_000_000),
            ("9223372036.854775807", i64::MAX),
        ];
        for (text, expected) in cases {
            assert_eq!(decimal(text, 9), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in
            ["", "-", ".", "e5", "1e", "1e+", "nan", "inf", "1,5", "0x1", " 1", "1_0", "--1"]
        {
            assert_eq!(decimal(text, 9), Err(NotDecimal::NotANumber), "{text}");
        }
        for text in ["9223372036.854775808", "1e10", "1e400", "1234567890123456789012345678901234"]
        {
            assert_eq!(decimal(text, 9), Err(NotDecimal::TooLarge), "{text}");
        }
    }

    proptest! {
        #[test]
        fn decimals_agree_with_floats(value in -1e9_f64..1e9) {
            for text in [format!("{value}"), format!("{value:e}"), format!("{value:.3}")] {
                let expected = text.parse::<f64>().unwrap() * 1e3;
                let read = decimal(&text, 3).unwrap() as f64;
                prop_assert!((read - expected).abs() <= 0.5001, "{text}: {read}");
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.eE]{0,60}|.{0,20}", places in 0_u32..12) {
            let _ = decimal(&text, places);
        }
    }
}

//! Hexadecimal digits, of either case.

/// The byte that two digits stand for.
pub(crate) fn byte(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    let (high, low) = high.zip(low)?;
    u8::try_from(high << 4 | low).ok()
}

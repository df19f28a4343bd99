//! How figures are written for people.

/// A number with a comma before every three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as whole kibibytes.
pub(crate) fn kibibytes(bytes: u64) -> String {
    format!("{} KiB", grouped(bytes / 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (2_744_500, "2,744,500"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}

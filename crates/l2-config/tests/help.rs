//! The help text says all there is to say of every key.

use l2_config::fields::{FIELDS, Preset};
use l2_config::{AdapterConfig, help_text};

#[test]
fn every_key_is_explained_with_its_range_unit_and_default() {
    let help = help_text();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let flat = words(&help);
    for field in FIELDS {
        assert!(help.lines().any(|line| line == format!("  {}", field.name)), "{}", field.name);
        assert!(flat.contains(&words(field.about)), "{}", field.name);
        assert!(flat.contains(&words(field.trade_off.unwrap_or(""))), "{}", field.name);
        assert!(field.allowed().contains(field.unit.unwrap_or("")), "{}", field.name);
        assert!(flat.contains(&field.allowed()), "{}", field.name);
        if let Preset::Described(preset) = field.default {
            assert!(flat.contains(&format!("Default: {preset}.")), "{}", field.name);
        }
    }
    assert!(help.contains("Default: 30."));
}

#[test]
fn the_examples_in_the_help_are_valid() {
    let help = help_text();
    let examples: Vec<_> = help
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--l2-adapter '")?.strip_suffix('\''))
        .collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        AdapterConfig::parse(example).unwrap_or_else(|errors| panic!("{example}: {errors}"));
    }
}

#[test]
fn no_line_but_the_examples_is_longer_than_a_terminal() {
    for line in help_text().lines().filter(|line| !line.contains("--l2-adapter '")) {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

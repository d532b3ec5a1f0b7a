//! Holds `docs/limits.md` and the table of limits together: what stands in it between markers is printed from the code.
//! `TIELINE_BLESS=1` writes those parts anew.

use std::fmt::Write as _;
use std::path::Path;

use tieline_server::{Config, LIMITS, Limit, Transport, Unit, fixed, worst_case};

fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
    let _ = writeln!(text, "|{}", "---|".repeat(head.len()));
    rows.into_iter().for_each(|row| text.push_str(&line(&row)));
    text
}

fn size(bytes: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >= 1 << shift {
            let tenths = u128::from(bytes) * 10 / (1 << shift);
            return if tenths.is_multiple_of(10) {
                format!("{} {unit}", tenths / 10)
            } else {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{bytes} bytes")
}

fn shown(limit: &Limit, value: u64) -> String {
    match limit.unit {
        _ if value >= u64::MAX / 2 => "no bound".to_owned(),
        Unit::Count => value.to_string(),
        Unit::PerSecond => format!("{value} a second"),
        Unit::Bytes => size(value),
        Unit::Milliseconds if value >= 86_400_000 => format!("{} d", value / 86_400_000),
        Unit::Milliseconds if value >= 1000 => format!("{} s", value / 1000),
        Unit::Milliseconds if value == 0 => "0 s".to_owned(),
        Unit::Milliseconds => format!("{value} ms"),
    }
}

fn limits() -> String {
    let default = Config::default();
    table(
        &["name", "default", "least to most", "what it limits", "at the limit", "why", "a change"],
        LIMITS.iter().map(|limit| {
            vec![
                format!("`{}`", limit.name),
                shown(limit, limit.of(&default)),
                format!("{} to {}", shown(limit, limit.least), shown(limit, limit.most)),
                limit.meaning.to_owned(),
                limit.consequence.to_owned(),
                limit.reason.to_owned(),
                limit.change.words().to_owned(),
            ]
        }),
    )
}

fn what_is_fixed() -> String {
    table(
        &["how much", "of what", "why"],
        fixed().into_iter().map(|fixed| vec![fixed.value, fixed.meaning.to_owned(), fixed.reason.to_owned()]),
    )
}

fn worst() -> String {
    let rows = worst_case(&Config::default(), Transport::Tls);
    let all = rows.iter().map(|row| row.bytes).sum();
    let rows = rows.into_iter().map(|row| vec![size(row.bytes), row.words]);
    table(&["at most", "for"], rows.chain([vec![size(all), "in all".to_owned()]]))
}

#[test]
fn what_the_document_prints_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/limits.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut right = text.clone();
    for (name, part) in [("limits", limits()), ("fixed", what_is_fixed()), ("worst", worst())] {
        let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
        let (before, rest) = right.split_once(&begin).unwrap_or_else(|| panic!("the document has no {begin}"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("the document has no {end}"));
        right = format!("{before}{begin}\n{}\n\n{end}{after}", part.trim());
    }
    if std::env::var_os("TIELINE_BLESS").is_some() {
        std::fs::write(&path, right).unwrap();
    } else {
        assert!(text == right, "docs/limits.md is not what the code says: `just bless` writes it anew");
    }
}

//! Holds `docs/http.md` and the errors that only HTTP knows together: its table is printed from the code.
//! `TIELINE_BLESS=1` writes it anew.

use std::fmt::Write as _;
use std::fs;

use tieline_http::OWN;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/http.md");
const BEGIN: &str = "<!-- begin: own errors -->\n";
const END: &str = "<!-- end: own errors -->";

#[test]
fn the_document_has_the_errors_of_the_code() {
    let mut table = String::from("\n| name | status | what happened |\n|---|---|---|\n");
    for error in OWN {
        let _ = writeln!(table, "| `{}` | {} | {} |", error.name, error.status, error.sentence);
    }
    table.push('\n');
    let document = fs::read_to_string(DOCUMENT).unwrap();
    let (front, rest) = document.split_once(BEGIN).expect("where the table begins");
    let (stands, back) = rest.split_once(END).expect("where the table ends");
    if std::env::var_os("TIELINE_BLESS").is_some() {
        fs::write(DOCUMENT, [front, BEGIN, &table, END, back].concat()).unwrap();
    } else {
        assert_eq!(stands, table, "`just bless` prints it anew");
    }
}

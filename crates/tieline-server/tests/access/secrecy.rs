//! What is printed of tokens: names and beginnings of digests, never a token.

use tieline_server::{Access, Config};

use crate::guests::{ALL, all, rule};

#[test]
fn neither_rules_nor_access_nor_settings_print_a_digest_that_could_be_tried() {
    let mut config = Config::default();
    config.access = Access::with_tokens([all(), rule("s3cret", &["*"], &[])]).unwrap();
    let printed = format!("{config:?} {:?} {:?}", config.access, all());
    assert!(printed.contains("Access(2 tokens)"), "{printed}");
    let digest = all().digest.to_string();
    assert!(!printed.contains(&digest[..16]), "{printed}");
    // The name of the rule in these tests is its token; here only of the one that is printed.
    assert!(!printed.replace(ALL, "").contains("s3cret"), "{printed}");
}

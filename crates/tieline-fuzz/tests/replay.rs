//! Runs every committed corpus through its target, without libFuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tieline_fuzz::TARGETS;

/// Fewer inputs than this aren't the corpus that was committed.
const LEAST: usize = 20;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn replay(name: &str) {
    let (_, run) = TARGETS.iter().find(|(target, _)| *target == name).expect("a target of this name");
    let corpus = folder().join("corpus").join(name);
    let mut inputs: Vec<_> = fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= LEAST, "{} inputs in {}", inputs.len(), corpus.display());
    for input in inputs {
        let data = fs::read(&input).unwrap();
        // The name of the input that fails is what one wants to know first.
        let outcome = std::panic::catch_unwind(|| run(&data));
        assert!(outcome.is_ok(), "{name} fails with {}", input.display());
    }
}

macro_rules! corpora {
    ($($test:ident $target:literal,)*) => {
        $(#[test]
        fn $test() {
            replay($target);
        })*

        #[test]
        fn every_target_is_replayed_and_has_its_shell() {
            assert_eq!(TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [$($target),*]);
            let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
            for (name, _) in TARGETS {
                let shell = fs::read_to_string(folder().join(format!("fuzz_targets/{name}.rs"))).unwrap();
                assert!(shell.contains(&format!("tieline_fuzz::{name}::run(data)")), "{name}");
                assert!(manifest.contains(&format!("fuzz_targets/{name}.rs")), "{name}");
            }
        }
    };
}

corpora! {
    corpus_of_header "header",
    corpus_of_stream "stream",
    corpus_of_metadata "metadata",
    corpus_of_outbox "outbox",
    corpus_of_core "core",
    corpus_of_configuration "configuration",
    corpus_of_sessions "sessions",
}

/// Plays that never get to an answer prove nothing: the corpus must have reached every end.
#[test]
fn corpus_of_core_gets_deep() {
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(folder().join("corpus/core")).unwrap() {
        seen.extend(tieline_fuzz::core::play(&fs::read(entry.unwrap().path()).unwrap()).into_keys());
    }
    for what in tieline_fuzz::core::SOMETIMES {
        assert!(seen.contains(*what), "in the whole corpus, never: {what}; but {seen:#?}");
    }
}

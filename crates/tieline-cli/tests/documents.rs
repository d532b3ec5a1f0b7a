//! The documents lead somewhere: each link to a file of the repository has its file, and where its words are the name
//! of a test, the file has that test.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A link as it stands in a document: `[words](target)`.
struct Link {
    document: PathBuf,
    words: String,
    target: String,
}

fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in [PathBuf::from(ROOT), Path::new(ROOT).join("docs")] {
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        found.extend(entries.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    }
    found.sort();
    found
}

fn links(document: &Path) -> Vec<Link> {
    let text = fs::read_to_string(document).unwrap();
    let mut links = Vec::new();
    for (at, _) in text.match_indices("](") {
        let words = text[..at].rfind('[').map(|from| &text[from + 1..at]);
        let target = text[at + 2..].split_once(')').map(|(target, _)| target);
        if let (Some(words), Some(target)) = (words, target) {
            links.push(Link { document: document.to_owned(), words: words.to_owned(), target: target.to_owned() });
        }
    }
    links
}

/// What a heading is called in a link: lower case, spaces as hyphens, without punctuation.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings
        .map(|heading| {
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        })
        .collect()
}

fn fault(link: &Link) -> Option<String> {
    let (file, anchor) = link.target.split_once('#').unwrap_or((&link.target, ""));
    let path = if file.is_empty() { link.document.clone() } else { link.document.parent()?.join(file) };
    if !path.exists() {
        return Some(format!("there is no {file}"));
    }
    if path.is_dir() {
        return None;
    }
    let text = fs::read_to_string(&path).unwrap_or_default();
    if !anchor.is_empty() && !anchors(&text).iter().any(|known| known == anchor) {
        return Some(format!("{file} has no heading '{anchor}'"));
    }
    let name = link.words.strip_prefix('`')?.strip_suffix('`')?;
    let is_test = path.extension().is_some_and(|ending| ending == "rs");
    (is_test && !text.contains(&format!("fn {name}("))).then(|| format!("{file} has no test of this name"))
}

#[test]
fn every_link_of_the_documents_leads_to_what_it_names() {
    let links: Vec<_> = documents().iter().flat_map(|document| links(document)).collect();
    let inside = links.iter().filter(|link| !link.target.contains("://")).collect::<Vec<_>>();
    assert!(inside.len() > 50, "only {} links were found: are they still written as here?", inside.len());
    let wrong: Vec<_> = inside
        .iter()
        .filter_map(|link| {
            let document = link.document.file_name()?.to_string_lossy();
            Some(format!("{document}: [{}]({}): {}", link.words, link.target, fault(link)?))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

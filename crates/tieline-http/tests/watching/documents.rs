//! Documents say what is served: the tables of metrics, the dashboard's names, the examples of the API.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::metrics::figures;
use crate::stage::Stage;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What is named `tieline_…` in a text.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split(|c: char| !is_part(c)).filter(|word| word.starts_with("tieline_")).map(str::to_owned).collect()
}

/// Every name that a scrape has.
async fn served() -> BTreeSet<String> {
    let stage = Stage::start().await;
    let client = stage.client().await;
    let _receive = client.receive("x").await.unwrap();
    stage.until("/api/channels", |page| page["total"] == 1).await;
    let text = stage.get("/metrics?channels=1").await.body;
    stage.end().await;
    figures(&text).keys().map(|name| name.split('{').next().unwrap().to_owned()).collect()
}

#[test]
fn the_tables_of_metrics_are_what_the_code_says() {
    let path = root().join("docs/metrics.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut right = text.clone();
    for (name, by_channel) in [("metrics", false), ("channels", true)] {
        let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
        let (before, rest) = right.split_once(&begin).unwrap_or_else(|| panic!("the document has no {begin}"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("the document has no {end}"));
        right = format!("{before}{begin}\n{}\n\n{end}{after}", tieline_http::metrics_table(by_channel).trim());
    }
    if std::env::var_os("TIELINE_BLESS").is_some() {
        std::fs::write(&path, right).unwrap();
    } else {
        assert!(text == right, "docs/metrics.md is not what the code says: `just bless` writes it anew");
    }
}

#[tokio::test]
async fn every_metric_of_the_table_is_served_and_no_other() {
    let served = served().await;
    let mut documented = named(&(tieline_http::metrics_table(false) + &tieline_http::metrics_table(true)));
    assert!(documented.remove("tieline_trace_spans_total"), "it is served where traces are exported, and only there");
    let base = |name: &String| {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        of_histogram.filter(|base| documented.contains(*base)).map_or_else(|| name.clone(), str::to_owned)
    };
    assert_eq!(served.iter().map(base).collect::<BTreeSet<_>>(), documented);
}

#[tokio::test]
async fn every_metric_that_the_dashboard_and_the_alerts_name_is_served() {
    let served = served().await;
    let dashboard = std::fs::read_to_string(root().join("dashboards/grafana.json")).unwrap();
    let parsed: Value = serde_json::from_str(&dashboard).unwrap();
    let mut expressions = Vec::new();
    for panel in parsed["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{}", panel["title"]);
        expressions.extend(targets.iter().map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    let document = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    expressions.extend(document.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned));
    let alerts = std::fs::read_to_string(root().join("dashboards/alerts.yml")).unwrap();
    assert!(document.contains(&format!("```yaml\n{alerts}```")), "docs/metrics.md shows other alerts than there are");
    assert!(expressions.len() > 20, "{}", expressions.len());
    for expression in &expressions {
        let names = named(expression);
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(served.contains(&name), "{name} of '{expression}' is not served");
        }
    }
}

/// The names of an answer's fields, with where they stand. What is null may be anything.
fn shape(value: &Value, at: &str, names: &mut BTreeSet<String>) {
    match value {
        // Which outcomes there are is the server's history.
        Value::Object(_) if at.rsplit_once('.').is_some_and(|(_, name)| name == "ended") => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                let place = format!("{at}.{name}");
                names.insert(place.clone());
                shape(value, &place, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| shape(item, &format!("{at}[]"), names)),
        _ => {}
    }
}

/// Examples stand below a comment that says what was asked for.
fn examples(text: &str) -> Vec<(String, Value)> {
    let parts = text.split("<!-- from: ").skip(1);
    parts
        .map(|part| {
            let (path, rest) = part.split_once(" -->").unwrap();
            let code = rest.split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
            (path.to_owned(), serde_json::from_str(code).unwrap_or_else(|error| panic!("{path}: {error}")))
        })
        .collect()
}

#[tokio::test]
async fn the_examples_of_the_api_have_the_fields_that_answers_have() {
    let text = std::fs::read_to_string(root().join("docs/api.md")).unwrap();
    let stage = Stage::start().await;
    let client = stage.client().await;
    let mut receiver = client.receive("thumbs").await.unwrap();
    let sender = stage.client().await;
    let sent = tokio::spawn(async move { sender.send("thumbs").body(vec![7; 64 << 20]).await });
    let mut request = receiver.next().await.unwrap().unwrap();
    assert!(request.body().chunk().await.unwrap().is_some());
    let is_stalled = |detail: &Value| detail["requests"][0]["request"]["stalled_on"] != Value::Null;
    let detail = stage.until("/api/channels/thumbs", is_stalled).await;
    let id = detail["requests"][0]["id"].as_str().unwrap().to_owned();
    stage.until("/api/overview", |overview| overview["rates"] != Value::Null).await;
    let examples = examples(&text);
    assert_eq!(examples.len(), 5);
    for (path, example) in examples {
        let live = stage.json(&path.replace("{id}", &id)).await;
        let [mut right, mut shown] = [BTreeSet::new(), BTreeSet::new()];
        shape(&live, "", &mut right);
        shape(&example, "", &mut shown);
        assert_eq!(shown, right, "{path}: live is {live:#}");
    }
    sent.abort();
    stage.end().await;
}

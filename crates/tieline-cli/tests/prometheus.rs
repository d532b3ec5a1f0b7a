//! The metrics as a real Prometheus reads them: every expression of the dashboard gives figures beside a busy server, and
//! every alert comes when it should and not before.
//!
//! It needs Prometheus with its promtool (`apt-get install prometheus`), so it runs only by `just prometheus`.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{Running, Server, run, tieline, wait_until};

/// What Grafana puts in for its variables, with a scrape each second.
const VARIABLES: [(&str, &str); 2] = [("$job", "tieline"), ("$__rate_interval", "5s")];

/// Each alert, beside what it should be silent about, and what it should tell.
const ALERTS: &str = r#"
rule_files: [alerts.yml]
evaluation_interval: 30s
tests:
  - name: what is usual
    interval: 30s
    input_series:
      - { series: 'tieline_oldest_wait_seconds{job="tieline"}', values: "0 20 40 59 0 0 61 0 0 0 0 0 0 0 0 0 0 0 0 0 0" }
      - { series: 'tieline_requests_total{job="tieline",outcome="receiver-lost"}', values: "0 1 1 1 2 2 2x15" }
      - { series: 'tieline_requests_total{job="tieline",outcome="complete"}', values: "0+9000x21" }
      - { series: 'tieline_buffer_bytes{job="tieline"}', values: "90x21" }
      - { series: 'tieline_buffer_limit_bytes{job="tieline"}', values: "100x21" }
    alert_rule_test:
      - { alertname: TielineRequestsWait, eval_time: 10m }
      - { alertname: TielineRequestsWait, eval_time: 3m30s }
      - { alertname: TielineReceiversAreLost, eval_time: 10m }
      - { alertname: TielineMemoryIsShort, eval_time: 10m }
  - name: what is not
    interval: 30s
    input_series:
      - { series: 'tieline_oldest_wait_seconds{job="tieline"}', values: "0+30x40" }
      - { series: 'tieline_requests_total{job="tieline",outcome="receiver-lost"}', values: "0+6x40" }
      - { series: 'tieline_buffer_bytes{job="tieline"}', values: "91x40" }
      - { series: 'tieline_buffer_limit_bytes{job="tieline"}', values: "100x40" }
    alert_rule_test:
      - { alertname: TielineRequestsWait, eval_time: 2m }
      - alertname: TielineRequestsWait
        eval_time: 5m
        exp_alerts: [{ exp_labels: { job: tieline }, exp_annotations: { summary: "WAIT" } }]
      - alertname: TielineReceiversAreLost
        eval_time: 15m
        exp_alerts: [{ exp_labels: {}, exp_annotations: { summary: "LOST" } }]
      - alertname: TielineMemoryIsShort
        eval_time: 15m
        exp_alerts: [{ exp_labels: { job: tieline }, exp_annotations: { summary: "MEMORY" } }]
"#;

fn dashboards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards")
}

#[test]
#[ignore = "it needs Prometheus: `just prometheus`"]
fn every_alert_comes_when_it_should_and_not_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = fs::read_to_string(dashboards().join("alerts.yml")).expect("the alerts");
    let mut told = rules.lines().filter_map(|line| line.split_once("summary: \"")?.1.strip_suffix("\" }"));
    let tests = ["WAIT", "LOST", "MEMORY"].iter().fold(ALERTS.to_owned(), |tests, name| {
        tests.replace(&format!("\"{name}\""), &format!("\"{}\"", told.next().expect("a summary")))
    });
    fs::write(folder.path().join("alerts.yml"), &rules).expect("it is written");
    fs::write(folder.path().join("tests.yml"), tests).expect("it is written");
    for verb in [["check", "rules", "alerts.yml"], ["test", "rules", "tests.yml"]] {
        run(
            Command::new("promtool")
                .args(verb)
                .current_dir(&folder)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
            "",
        )
        .code(0);
    }
}

#[test]
#[ignore = "it needs Prometheus: `just prometheus`"]
fn every_expression_of_the_dashboard_gives_figures_of_a_busy_server() {
    let server = Server::start();
    let _fails = server.receive("bad", &["false"]);
    let _waits = Running::start(&mut server.send("nobody", &[]));
    let mut bench = tieline([
        "bench",
        "work",
        "--server",
        &server.address,
        "--with-receivers",
        "2",
        "--rate",
        "50",
        "--duration",
        "50s",
    ]);
    let _load = Running::start(&mut bench);
    run(&mut server.send("bad", &[]), "x").code(1);
    promtool_reads(&server);
    let folder = tempfile::tempdir().expect("a folder");
    let prometheus = Prometheus::start(folder.path(), server.http.trim_start_matches("http://"));
    let text = fs::read_to_string(dashboards().join("grafana.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let mut expressions = 0;
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            let written = target["expr"].as_str().expect("an expression");
            let asked = VARIABLES.iter().fold(written.to_owned(), |asked, (name, value)| asked.replace(name, value));
            wait_until(&format!("{} gives figures: {asked}", panel["title"]), || {
                let figures = prometheus.ask(&asked);
                !figures.is_empty() && figures.iter().all(|figure| figure.is_finite())
            });
            expressions += 1;
        }
    }
    assert!(expressions > 15, "{expressions}");
}

/// Whoever asks for nothing else gets a text that promtool has nothing to say of.
fn promtool_reads(server: &Server) {
    let scrape =
        Command::new("curl").args(["-sS", &format!("{}/metrics?channels=5", server.http)]).output().expect("curl runs");
    let mut check = Command::new("promtool");
    check.args(["check", "metrics"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    run(&mut check, &scrape.stdout).code(0);
}

/// One that looks at a server each second, and is asked by its API.
struct Prometheus {
    _process: Running,
    address: String,
}

impl Prometheus {
    fn start(folder: &Path, target: &str) -> Self {
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let address = format!("127.0.0.1:{port}");
        let alerts = dashboards().join("alerts.yml");
        let configuration = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: [{}]\n\
             scrape_configs:\n  - job_name: tieline\n    static_configs: [{{ targets: [\"{target}\"] }}]\n",
            alerts.canonicalize().expect("the alerts").display()
        );
        let file = folder.join("prometheus.yml");
        fs::write(&file, configuration).expect("it is written");
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"));
        let process = Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()));
        process.line_with("Server is ready");
        Self { _process: process, address }
    }

    /// The values that an expression has now.
    fn ask(&self, expression: &str) -> Vec<f64> {
        let asked = Command::new("curl")
            .args(["-sS", "--get", "--data-urlencode", &format!("query={expression}")])
            .arg(format!("http://{}/api/v1/query", self.address))
            .output()
            .expect("curl runs");
        let answer: Value = serde_json::from_slice(&asked.stdout).expect("JSON");
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let result = answer["data"]["result"].as_array().expect("a vector").clone();
        result.iter().filter_map(|sample| sample["value"][1].as_str()?.parse().ok()).collect()
    }
}

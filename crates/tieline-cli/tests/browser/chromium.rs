//! A real browser, driven by its own `DevTools` protocol: just what the tests need of it.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use crate::support::PATIENCE;

/// A headless Chromium with one page; it ends with the test.
pub(crate) struct Page {
    browser: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: String,
    last: u64,
    /// What went wrong in the page by itself: uncaught exceptions, and errors on its console.
    pub(crate) troubles: Vec<String>,
    /// Its profile, which it needs as long as it lives.
    _profile: TempDir,
}

impl Page {
    pub(crate) fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let mut browser = Command::new("chromium")
            // A root user in a container has no sandbox to offer; the page is our own.
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium is installed: apt-get install chromium");
        let stderr = BufReader::new(browser.stderr.take().expect("stderr is piped"));
        let mut lines = stderr.lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| line.strip_prefix("DevTools listening on ").map(str::to_owned))
            .expect("the browser says where it listens");
        // It goes on talking, and must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let (socket, _) = tungstenite::connect(address).expect("the browser takes a connection");
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        }
        let mut page =
            Self { browser, socket, session: String::new(), last: 0, troubles: Vec::new(), _profile: profile };
        let target = page.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attached = page.call("Target.attachToTarget", &json!({ "targetId": target["targetId"], "flatten": true }));
        attached["sessionId"].as_str().expect("a session").clone_into(&mut page.session);
        page.call("Page.enable", &json!({}));
        page.call("Runtime.enable", &json!({}));
        page.go(url);
        page
    }

    /// Goes to this address, and waits until the page is there.
    pub(crate) fn go(&mut self, url: &str) {
        self.call("Page.navigate", &json!({ "url": url }));
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// What an expression is; a promise is awaited. Panics with the page's words if it fails.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", &asked);
        let failed = &answer["exceptionDetails"];
        assert!(failed.is_null(), "{expression}\nfailed in the page: {failed:#}\n{:#?}", self.troubles);
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true: it is looked at each time that the page has drawn.
    pub(crate) fn until(&mut self, condition: &str) {
        let patience = PATIENCE.as_millis();
        let wait = format!(
            "new Promise((done, fail) => {{
               const since = performance.now();
               const look = () => {{
                 let is = false;
                 try {{ is = {condition}; }} catch {{}}
                 if (is) done(true);
                 else if (performance.now() - since > {patience}) fail(new Error('waited in vain; the page says: ' + document.body.innerText.slice(0, 2000)));
                 else setTimeout(look, 20);
               }};
               look();
             }})"
        );
        self.eval(&wait);
    }

    /// Presses a key, where the focus is.
    pub(crate) fn press(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            key if key.len() == 1 => key,
            _ => "",
        };
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Tab" => 9,
            "ArrowDown" => 40,
            "ArrowUp" => 38,
            _ => 0,
        };
        let kind = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        let down = json!({ "type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", &down);
        self.call("Input.dispatchKeyEvent", &json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code }));
    }

    /// Types text, where the focus is.
    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// Chooses a file of the disk in an input of the page, as a person does.
    pub(crate) fn choose_file(&mut self, selector: &str, path: &Path) {
        let document = self.call("DOM.getDocument", &json!({}));
        let root = &document["root"]["nodeId"];
        let found = self.call("DOM.querySelector", &json!({ "nodeId": root, "selector": selector }));
        self.call("DOM.setFileInputFiles", &json!({ "nodeId": found["nodeId"], "files": [path] }));
    }

    /// Has the page give up what is garbage.
    pub(crate) fn tidy(&mut self) {
        self.call("HeapProfiler.collectGarbage", &json!({}));
    }

    /// How long the page's thread has worked so far, in seconds of a processor: what others do meanwhile isn't in it.
    pub(crate) fn worked(&mut self) -> f64 {
        self.call("Performance.enable", &json!({ "timeDomain": "threadTicks" }));
        let metrics = self.call("Performance.getMetrics", &json!({}));
        let all = metrics["metrics"].as_array().expect("metrics");
        let task = all.iter().find(|metric| metric["name"] == "TaskDuration").expect("the time of tasks");
        task["value"].as_f64().expect("seconds")
    }

    /// Memory that the browser's processes have to themselves, or their share of what they share, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let mut all = vec![self.browser.id()];
        let mut at = 0;
        while let Some(&process) = all.get(at) {
            let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().filter_map(Result::ok);
            let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
            all.extend(
                children
                    .flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse::<u32>().ok()).collect::<Vec<_>>()),
            );
            at += 1;
        }
        let share = |process| {
            let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
            let line =
                text.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().trim_end_matches(" kB").to_owned();
            line.parse::<u64>().ok()
        };
        all.into_iter().filter_map(share).sum::<u64>() * 1024
    }

    /// A picture of the page as PNG, in base64.
    pub(crate) fn picture(&mut self) -> String {
        let shot = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        shot["data"].as_str().expect("a picture").to_owned()
    }

    /// The size of the window, and whether it is dark.
    pub(crate) fn look(&mut self, width: u32, height: u32, is_dark: bool) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if is_dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &media);
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let mut asked = json!({ "id": self.last, "method": method, "params": params });
        if !self.session.is_empty() {
            asked["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(asked.to_string())).expect("the browser is there");
        loop {
            let message = self.socket.read().unwrap_or_else(|error| panic!("no answer to {method}: {error}"));
            let Message::Text(text) = message else { continue };
            let mut answer: Value = serde_json::from_str(&text).expect("JSON");
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        let details = &event["params"]["exceptionDetails"];
        if event["method"] == "Runtime.exceptionThrown" {
            let text = details["exception"]["description"].as_str().or(details["text"].as_str());
            self.troubles.push(text.unwrap_or("an exception").to_owned());
        } else if event["method"] == "Runtime.consoleAPICalled" && event["params"]["type"] == "error" {
            self.troubles.push(event["params"]["args"].to_string());
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // In good order, for the browser has processes of its own; and if it doesn't listen, it is killed.
        let close = json!({ "id": 0, "method": "Browser.close" });
        let _ = self.socket.send(Message::text(close.to_string()));
        for _ in 0..100 {
            if matches!(self.browser.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

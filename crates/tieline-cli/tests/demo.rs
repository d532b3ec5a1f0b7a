//! `tieline demo`: everything it shows is checked by itself, so here it is enough that it comes to its good end.

mod support;

use support::{Running, tieline};

#[test]
fn the_demo_shows_every_act_and_comes_to_its_good_end() {
    let ended = Running::start(&mut tieline(["demo", "--big", "64MiB"])).wait().code(0);
    let text = String::from_utf8(ended.stdout).unwrap();
    for part in ["taken by", "wave 3", "grew by less than 64 MiB", "the sender knows", "all is well"] {
        assert!(text.contains(part), "the demo doesn't show '{part}':\n{text}");
    }
}

//! The examples in Rust do what they say. (Those in other languages are run with their page, by the test of the pages.)

#[path = "../../../examples/embedded/main.rs"]
#[allow(dead_code, reason = "its main is for those who run it")]
mod embedded;

#[tokio::test]
async fn the_bus_inside_a_program_answers_and_ends() {
    let lines = embedded::run().await.unwrap();
    assert_eq!(lines, ["one became ONE", "two became TWO", "three became THREE", "2 connections"]);
}

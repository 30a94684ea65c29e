//! The agent answers by type and by JSON alike, also after it was killed, and says no for itself where it is not understood.

use std::time::Duration;

use own_agent::{WARMTH, Warmth, WhichRoom, thermometer};
use serde_json::json;
use steadfast::{RequestError, Strategy, SupervisorSpec, System};

#[tokio::test]
async fn it_is_found_by_type_and_by_name_over_its_lives() {
    let spec = SupervisorSpec::new("home", Strategy::OneForOne).child(thermometer("thermometer"));
    let system = System::start(spec).await.expect("the tree starts");
    let route = system.route(&WARMTH).build().expect("a route");
    let wanted = "home.warmth@^1".parse().expect("a requirement");
    let second = Duration::from_secs(1);

    for life in 1..=2 {
        let warmth = route.ask(WhichRoom { room: "cellar".to_owned() }).await.expect("a reply");
        assert_eq!(warmth, Warmth { room: "cellar".to_owned(), celsius: Some(12) }, "life {life}");
        let reply = system.ask_json(&wanted, json!({ "room": "attic" }), second).await.expect("a reply");
        assert_eq!(reply, json!({ "room": "attic", "celsius": null }), "life {life}");
        if life == 1 {
            system.kill("home/thermometer").expect("it is there");
        }
    }

    let error = system.ask_json(&wanted, json!("attic"), second).await.expect_err("no such request");
    assert!(matches!(error, RequestError::Malformed { .. }), "{error}");
    system.shutdown().await.expect("an orderly end");
}

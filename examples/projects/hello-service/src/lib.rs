// SPDX-License-Identifier: MIT OR Apache-2.0

//! The answer of a service that says hello.

/// The answer to the first line of an HTTP request.
pub fn answer(request_line: &str) -> String {
    let mut words = request_line.split_whitespace();
    match (words.next(), words.next()) {
        (Some("GET"), Some("/health")) => response("200 OK", "well"),
        (Some("GET"), Some(path)) => match path.strip_prefix("/hello/") {
            Some(name) if !name.is_empty() => response("200 OK", &format!("hello, {name}")),
            _ => response("404 Not Found", "nobody to greet"),
        },
        (Some(_), Some(_)) => response("405 Method Not Allowed", "only GET"),
        _ => response("400 Bad Request", "no request"),
    }
}

fn response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}\n", body.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[track_caller]
    fn check(request_line: &str, status: &str, body: &str) {
        let answer = answer(request_line);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}\n")), "{answer}");
    }

    #[test]
    fn a_greeting_names_who_is_greeted() {
        check("GET /hello/ferris HTTP/1.1", "200", "hello, ferris");
    }

    #[test]
    fn what_is_no_greeting_is_refused_with_the_right_status() {
        check("GET /health HTTP/1.1", "200", "well");
        check("GET /hello/ HTTP/1.1", "404", "nobody to greet");
        check("POST /hello/ferris HTTP/1.1", "405", "only GET");
        check("", "400", "no request");
    }
}

//! Says what an agent came to, from its output on stdin: `classify claude 1 < output`.

use std::{
    env,
    error::Error,
    io::{self, Read},
    time::SystemTime,
};

use agent_runner_signals::{End, Event, Format, Now, Parser, judge};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let format: Format = args.next().as_deref().unwrap_or("claude").parse()?;
    let exit_code = args.next().as_deref().unwrap_or("0").parse()?;

    let mut parser = Parser::new(format);
    let mut stdin = io::stdin().lock();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match stdin.read(&mut buffer)? {
            0 => break,
            count => parser.feed(&buffer[..count], tell),
        }
    }
    let summary = parser.finish();
    let verdict = judge(&summary, End::Exited(exit_code), &Now::utc(SystemTime::now()));
    show(&format!("{verdict:#?}\n{:#?}", summary.usage));
    Ok(())
}

fn tell(event: Event) {
    if let Event::Retried(retry) = event {
        show(&format!("attempt {} failed: {}", retry.attempt, retry.outcome));
    }
}

#[expect(clippy::print_stdout, reason = "an example's output goes to stdout")]
fn show(text: &str) {
    println!("{text}");
}

//! The real operator made to die before and after each remote call and each write to the API server
//! of a full life, of one through the admin API, and of one whose access is handed over to a debt; one
//! life per point; then started again. See `src/failpoint.rs`.
//!
//! Judged by the remote's ledger and the apiserver's objects: one remote request for each question,
//! credentials read once or made anew for each further read, nothing live once the resource has
//! gone unless a debt names it, and gone they must be, resource and debt.
//!
//! `cargo xtask test` runs a fixed sample of the points; `APONO_PROVE=full` runs all of them.
//! `APONO_CRASH_POINT=revoke` runs those whose name contains that, `APONO_CRASH_POINT=Owed:` those of
//! one life.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `points.rs` | which points there are |
//! | `life.rs` | how a life is lived, and the full one |
//! | `admin.rs` | the life through the admin API |
//! | `owed.rs` | the life that ends with a debt, and that nothing is forgotten |
//! | `release.rs` | that a release build holds no point |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{panic::AssertUnwindSafe, time::Instant};

use futures::{FutureExt as _, StreamExt as _};

#[path = "crash/admin.rs"]
mod admin;
#[path = "crash/life.rs"]
mod life;
#[path = "crash/owed.rs"]
mod owed;
#[path = "crash/points.rs"]
mod points;
#[path = "crash/release.rs"]
mod release;
mod support;

use points::Course;

/// So many lives are lived at once: most of a life is waiting.
const AT_ONCE: usize = 10;

async fn passes_what_is_listed(course: Course) {
    let recorded = life::record(course).await;
    let unlisted: Vec<_> = recorded.iter().filter(|one| !course.knows(one)).collect();
    assert!(unlisted.is_empty(), "not in the list: {unlisted:#?}");
    let all = course.all();
    let missed: Vec<_> = all.iter().filter(|one| !recorded.contains(one)).collect();
    assert!(missed.is_empty(), "not passed: {missed:#?}\n{recorded:#?}");
    println!(
        "{course:?}: {} points passed, {} listed",
        recorded.len(),
        all.len()
    );
}

#[tokio::test]
async fn a_full_life_passes_the_points_that_are_listed() {
    passes_what_is_listed(Course::Full).await;
}

#[tokio::test]
async fn a_life_through_the_admin_api_passes_the_points_that_are_listed() {
    passes_what_is_listed(Course::Admin).await;
}

#[tokio::test]
async fn a_life_whose_access_is_owed_passes_the_points_that_are_listed() {
    passes_what_is_listed(Course::Owed).await;
}

#[tokio::test]
async fn a_process_that_dies_at_any_io_keeps_both_promises() {
    let points = points::wanted();
    assert!(!points.is_empty(), "APONO_CRASH_POINT names none");
    let count = points.len();
    println!("{count} of {} crash points", points::count());
    let lives = points.into_iter().map(|(course, point)| async move {
        let started = Instant::now();
        let lived = AssertUnwindSafe(life::dying_at(course, &point)).catch_unwind();
        let is_well = lived.await.is_ok();
        let word = if is_well { "well" } else { "FAILED" };
        println!("{word}: {course:?}: {point} ({:.1?})", started.elapsed());
        (!is_well).then_some((course, point))
    });
    let failed: Vec<_> = futures::stream::iter(lives)
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    let all = points::count();
    println!("proved: crash: died at {count} of {all} points and kept both promises");
}

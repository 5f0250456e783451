#include "downlink/interest.h"

#include <utility>

#include "base/threads.h"
#include "downlink/interest_book.h"

namespace encke::downlink {

class Interest::Impl {
 public:
  explicit Impl(const InterestOptions& given) : options(given), book(Book(options, counts)) {}

  const InterestOptions options;
  InterestCounts counts;
  Guarded<Book> book;
};

Interest::Interest(const InterestOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Interest::~Interest() = default;

void Interest::Present(std::string_view room, bool present) {
  Calls calls;
  const std::int64_t now = impl_->options.now_ms();
  impl_->book.With([&](Book& book) { book.Present(room, present, now, &calls); });
  calls.Run();
}

void Interest::WhenKnown(std::string_view room, std::function<void(bool)> done) {
  Calls calls;
  const std::int64_t now = impl_->options.now_ms();
  const bool known = impl_->book.With([&](Book& book) {
    const auto at = book.Declare(room, &calls);
    book.KeepUntil(at, now + impl_->options.linger.count());
    if (book.Known(at)) return true;
    impl_->counts.waits.Add();
    book.Wait(at, {.deadline = now + impl_->options.join_wait.count(), .done = std::move(done)});
    return false;
  });
  calls.Run();
  if (known) done(true);
}

void Interest::Tick(std::int64_t now_ms) {
  Calls late;
  impl_->book.With([&](Book& book) {
    book.EndWaits(now_ms, &late);
    book.EndLingers(now_ms, &late);
  });
  late.Run();
  Calls known;
  impl_->book.With([&](Book& book) { book.EndGraces(now_ms, &known); });
  known.Run();
}

Interest::JobId Interest::AddJob(std::function<void()> kick) {
  return impl_->book.With([&](Book& book) { return book.AddJob(std::move(kick)); });
}

void Interest::RemoveJob(JobId job) {
  Calls calls;
  const std::int64_t now = impl_->options.now_ms();
  impl_->book.With([&](Book& book) { book.RemoveJob(job, now, &calls); });
  calls.Run();
}

void Interest::Named(JobId job, const std::string& name) {
  Calls calls;
  impl_->book.With([&](Book& book) { book.Named(job, name, &calls); });
  calls.Run();
}

void Interest::Expect(const std::vector<std::string>& jobs) {
  Calls calls;
  impl_->book.With([&](Book& book) { book.Expect(jobs, &calls); });
  calls.Run();
}

std::size_t Interest::missing() const {
  return impl_->book.With([](const Book& book) { return book.missing(); });
}

bool Interest::Fill(JobId job, ::encke::Interest* out) {
  return impl_->book.With([&](Book& book) { return book.Fill(job, out); });
}

void Interest::Confirmed(JobId job, std::uint64_t number) {
  Calls calls;
  impl_->book.With([&](Book& book) { book.Confirmed(job, number, &calls); });
  calls.Run();
}

std::size_t Interest::rooms() const {
  return impl_->book.With([](const Book& book) { return book.rooms(); });
}

const InterestCounts& Interest::counts() const { return impl_->counts; }

}  // namespace encke::downlink

#include "store/timelines.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "store/reports.h"
#include "store/scripts/timelines.h"

namespace encke::store {

namespace {

Redis::Script Script(const char* name, const char* text) {
  return Redis::MakeScript(name, std::string(script::kWords) + kReportWords + text);
}

template <class T>
T Number(const std::string& text) {
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string Text(std::size_t number) { return std::to_string(number); }

TimelineHead ReadHeadOf(const std::vector<Reply>& list) {
  TimelineHead head;
  head.epoch = Number<std::uint64_t>(list[0].text);
  head.newest = Number<std::uint64_t>(list[1].text);
  head.oldest = Number<std::uint64_t>(list[2].text);
  if (list.size() > 3) head.cursor = Number<std::uint64_t>(list[3].text);
  if (list.size() > 4) head.shared = list[4].text;
  return head;
}

Error Garbled(const char* what) { return {Errc::kInvalid, std::string(what) + ": no answer"}; }

Result<TimelinePage> ReadPage(const Reply& reply) {
  if (reply.list.size() < 2 || reply.list[0].list.size() < 3) return Garbled("timeline.read");
  TimelinePage page;
  page.head = ReadHeadOf(reply.list[0].list);
  page.more = reply.list[1].text == "1";
  for (std::size_t i = 2; i + 3 < reply.list.size(); i += 4) {
    page.entries.push_back({Number<std::uint64_t>(reply.list[i].text),
                            Number<std::int64_t>(reply.list[i + 1].text), reply.list[i + 2].text,
                            reply.list[i + 3].text});
  }
  return page;
}

}  // namespace

std::optional<std::uint64_t> TimelineHead::SharedWith(std::uint64_t older) const {
  const std::string wanted = " " + std::to_string(older) + ":";
  const std::string all = " " + shared;
  const std::size_t at = all.find(wanted);
  if (at == std::string::npos) return std::nullopt;
  return std::strtoull(all.c_str() + at + wanted.size(), nullptr, 10);
}

Timelines::Timelines(Redis& redis)
    : redis_(redis),
      append_(Script("timeline.append", script::kAppend)),
      head_(Script("timeline.head", script::kHead)),
      read_(Script("timeline.read", script::kRead)),
      find_(Script("timeline.find", script::kFind)),
      acknowledge_(Script("timeline.acknowledge", script::kAcknowledge)),
      purge_(Script("timeline.purge", script::kPurge)) {}

void Timelines::Append(Entry entry, std::function<void(Result<Appended>)> done) {
  const std::size_t bytes = entry.payload.size();
  redis_.Eval(append_, {"tlm:" + entry.name, "tl:" + entry.name, "tla:" + entry.name},
              {std::move(entry.id), std::move(entry.payload), Text(entry.limits.messages),
               std::to_string(entry.limits.age.count()), Text(entry.limits.bytes),
               entry.retry ? "1" : "0", std::to_string(kRetryWindow.count()),
               entry.report ? std::to_string(Reports::kKept.count()) : "0"},
              [this, bytes, done = std::move(done)](const Result<Reply>& reply) {
                if (!reply || reply->list.size() < 6) {
                  counts_.failed.Add();
                  return done(reply ? Garbled("timeline.append") : reply.error());
                }
                const std::vector<Reply>& list = reply->list;
                Appended appended{Number<std::uint64_t>(list[0].text),
                                  Number<std::uint64_t>(list[1].text),
                                  Number<std::int64_t>(list[2].text), list[3].text == "1"};
                (appended.duplicate ? counts_.duplicates : counts_.appended).Add();
                if (!appended.duplicate) counts_.bytes.Add(bytes);
                counts_.trimmed.Add(Number<std::uint64_t>(list[4].text));
                if (list[5].text == "1") counts_.epochs.Add();
                done(appended);
              });
}

void Timelines::ReadHead(const std::string& name,
                         Duration age,
                         const std::string& device,
                         std::function<void(Result<TimelineHead>)> done) {
  redis_.Eval(head_, {"tlm:" + name, "tl:" + name, "tlc:" + name},
              {std::to_string(age.count()), device, std::to_string(kDevicesMax)},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                if (reply->list.size() < 4) return done(Garbled("timeline.head"));
                done(ReadHeadOf(reply->list));
              });
}

void Timelines::Read(const std::string& name,
                     Duration age,
                     const Range& range,
                     std::function<void(Result<TimelinePage>)> done) {
  redis_.Eval(read_, {"tlm:" + name, "tl:" + name},
              {std::to_string(age.count()), Text(range.after), Text(range.before),
               Text(std::clamp<std::size_t>(range.limit, 1, kPageEntries)), Text(kPageBytes),
               range.newest_first ? "1" : "0"},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                done(ReadPage(*reply));
              });
}

void Timelines::FindTime(const std::string& name,
                         std::int64_t time_ms,
                         std::function<void(Result<std::uint64_t>)> done) {
  redis_.Eval(find_, {"tlm:" + name, "tl:" + name}, {std::to_string(time_ms)},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                done(Number<std::uint64_t>(reply->text));
              });
}

void Timelines::Acknowledge(const Acknowledgement& ack,
                            Duration age,
                            std::function<void(Status)> done) {
  redis_.Eval(acknowledge_,
              {"tlm:" + ack.name, "tl:" + ack.name, "tlc:" + ack.name, "tla:" + ack.name},
              {std::to_string(age.count()), ack.device, Text(ack.epoch), Text(ack.seq),
               std::to_string(kRetryWindow.count()), std::to_string(kRememberedMax),
               std::to_string(Reports::kKept.count())},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                if (reply->integer == 0) return done(Error{Errc::kConflict, "another epoch"});
                done(Ok{});
              });
}

void Timelines::Purge(const std::string& name,
                      std::uint64_t seq,
                      std::function<void(Status)> done) {
  redis_.Eval(purge_, {"tlm:" + name, "tl:" + name}, {Text(seq)},
              [done = std::move(done)](const Result<Reply>& reply) {
                if (!reply) return done(reply.error());
                done(Ok{});
              });
}

}  // namespace encke::store

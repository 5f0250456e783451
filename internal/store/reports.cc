#include "store/reports.h"

#include <charconv>
#include <utility>

namespace encke::store {

void Reports::Tell(const std::string& id,
                   const std::string& who,
                   const Counts& counts,
                   const std::function<void(Status)>& done) {
  if (counts.empty()) return done(Ok{});
  std::vector<std::string> command = {"HSET", "rp_" + id};
  const std::string prefix = who + "/";
  for (const auto& [name, count] : counts) {
    command.push_back(prefix + name);
    command.push_back(std::to_string(count));
  }
  redis_.Call(std::move(command), [done](const Result<Reply>& reply) {
    done(reply ? Status(Ok{}) : Status(reply.error()));
  });
  redis_.Call({"PEXPIRE", "rp_" + id, std::to_string(kKept.count())}, [](const auto&) {});
}

void Reports::Read(const std::string& id, std::function<void(Result<Sums>)> done) {
  redis_.Call({"HGETALL", "rp_" + id}, [done = std::move(done)](const Result<Reply>& reply) {
    if (!reply) return done(reply.error());
    Sums sums;
    for (std::size_t i = 0; i + 1 < reply->list.size(); i += 2) {
      const std::string& field = reply->list[i].text;
      const std::string& text = reply->list[i + 1].text;
      std::uint64_t count = 0;
      std::from_chars(text.data(), text.data() + text.size(), count);
      sums[field.substr(field.rfind('/') + 1)] += count;
    }
    done(std::move(sums));
  });
}

}  // namespace encke::store

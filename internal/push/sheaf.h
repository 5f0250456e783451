#pragma once
// Sheaf: what the pushes of one batch put on the push log, gathered by partition, so that they
// share entries.  An entry costs logic, NATS and job about the same however much it carries.
//
// Owner    Relay::AcceptAll, for as long as it runs.
// Thread   one.
// Limit    the batch's; bus::Bundle bounds an entry.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace encke::push {

class Sheaf {
 public:
  using OnStored = std::function<void(const Status&)>;
  using Publish = std::function<void(int partition,
                                     const std::string& id,
                                     std::string payload,
                                     std::function<void(Result<std::uint64_t>)> done)>;

  void Add(int partition, std::string push, OnStored done);
  // Each partition's pushes are answered together, when the last of their entries is.
  void Leave(const Publish& publish);

 private:
  struct Straws {
    std::vector<std::string> pushes;
    std::vector<OnStored> waiting;
  };
  std::map<int, Straws> by_partition_;
};

}  // namespace encke::push

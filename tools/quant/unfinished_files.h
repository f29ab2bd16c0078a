// Files that an interrupt leaves nobody to finish.
#pragma once

namespace quant::tool {

/// Has the file removed if SIGINT, SIGTERM or SIGHUP ends the process. The text must live until
/// finish_file. Of more files at one time than there is any need for, some are left behind.
void begin_file(const char* path) noexcept;
void finish_file(const char* path) noexcept;

}  // namespace quant::tool

# Writes ${OUT}: the files ${PROFILES} as arrays of bytes, so that no content can break the source.
# Run as cmake -DOUT=... -DPROFILES="a;b" -P embed.cmake. What it defines: embedded_profiles.h.
set(arrays "")
set(entries "")
foreach(profile IN LISTS PROFILES)
  get_filename_component(name ${profile} NAME)
  string(MAKE_C_IDENTIFIER ${name} id)
  file(READ ${profile} hex HEX)
  string(LENGTH "${hex}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
  string(REGEX REPLACE "('[^']*','[^']*','[^']*','[^']*','[^']*','[^']*','[^']*','[^']*',)" "\\1\n"
         bytes "${bytes}")
  # The last zero keeps an empty file's array legal; it is not part of the text.
  string(APPEND arrays "constexpr char ${id}[] = {\n${bytes}'\\0'};\n")
  string(APPEND entries "    {\"${name}\", {${id}, ${size}}},\n")
endforeach()
file(WRITE ${OUT}.new
  "// Made from providers/profiles by providers/embed.cmake.\n"
  "#include \"providers/embedded_profiles.h\"\n\n"
  "namespace sendstep::providers {\nnamespace {\n${arrays}"
  "constexpr EmbeddedProfile kProfiles[] = {\n${entries}};\n}  // namespace\n\n"
  "std::span<const EmbeddedProfile> EmbeddedProfiles() { return kProfiles; }\n\n"
  "}  // namespace sendstep::providers\n")
file(COPY_FILE ${OUT}.new ${OUT})
file(REMOVE ${OUT}.new)

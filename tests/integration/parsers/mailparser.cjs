// Reads a message from stdin and prints what mailparser makes of it, as netmail.go does.
const crypto = require("crypto");
const { simpleParser } = require(process.argv[2]);

const boxes = (field) =>
  (field ? [].concat(field) : []).flatMap((list) => list.value.map((box) => [box.name, box.address]));
const options = { skipImageLinks: true, skipHtmlToText: true, skipTextToHtml: true, skipTextLinks: true };

simpleParser(process.stdin, options).then((mail) => {
  const files = mail.attachments.map((file) => ({
    type: file.contentType,
    name: file.filename || "",
    sha256: crypto.createHash("sha256").update(file.content).digest("hex"),
  }));
  console.log(JSON.stringify({
    subject: mail.subject || "",
    from: boxes(mail.from),
    to: boxes(mail.to),
    cc: boxes(mail.cc),
    text: mail.text || "",
    html: mail.html || "",
    files,
  }));
});

// A file on the clipboard goes where a dropped one goes: to the uploader's own input, its bytes untouched.
export default function () {
  const paste = (event) => {
    const files = event.clipboardData ? event.clipboardData.files : [];
    const input = document.querySelector('[data-testid="stFileUploaderDropzoneInput"]');
    if (!files.length || !input || input.webkitdirectory) return;
    const carried = new DataTransfer();
    for (const file of files) carried.items.add(file);
    input.files = carried.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    event.preventDefault();
  };
  document.addEventListener("paste", paste);
  return () => document.removeEventListener("paste", paste);
}

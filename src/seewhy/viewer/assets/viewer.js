/**
 * The viewer: a document of explanations in, an element of the page out.
 *
 *     import { mount } from "./viewer.js";
 *     const viewer = mount(element, document, options);
 *     viewer.update(document);   // shows another document; opacity, colours and so on stay as they were set
 *     viewer.destroy();          // takes everything out of the element again
 *
 * The document is what `seewhy.viewer.document.document_of` returns; its format stands in that module. One picture is
 * shown by itself, several as a gallery from which each can be opened. Nothing is fetched, and nothing leaves the page.
 * The page has to load `viewer.css` too, in which every rule is about `.seewhy`.
 *
 * Options:
 *   load(position)  Returns the whole of a picture that came without `photo` and `maps`, or a promise of it.
 *
 * The element gets the class `seewhy`, and the events `seewhy-ready`, when all that is to be seen at first is drawn,
 * and `seewhy-error`, with the reason in `detail`, when a photo cannot be shown; it is told to the reader as well.
 */

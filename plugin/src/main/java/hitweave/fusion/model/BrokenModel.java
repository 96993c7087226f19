package hitweave.fusion.model;

import java.io.IOException;

/** A file that is no model, or is not as it was written. */
public final class BrokenModel extends IOException {
    BrokenModel(String message) {
        super(message);
    }
}

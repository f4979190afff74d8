//! Embeddings in OpenAI's form.

use super::{Face, Surface, Told, call};
use crate::wire::halves;
use crate::wire::ir::{EmbedRequest, EmbedResponse, Error};
use crate::wire::json::{self, Object};
use crate::wire::loss::Losses;
use crate::wire::openai_vectors::{self, Wanted};
use crate::wire::{EmbedAnswering, EmbeddingsIn, Head, ProtocolId};

impl EmbeddingsIn for Surface {
    fn decode_request(&self, _head: &Head<'_>, body: &[u8]) -> Result<EmbedRequest, Error> {
        let body = halves::mended(body);
        let mut request = Object::parse(json::utf8(&body)?)?;
        let Wanted { model, input, dimensions, encoding } = openai_vectors::wanted(&mut request)?;
        let model = call::asked_of_embeddings(&model).name();
        let ext = json::Ext::default();
        Ok(EmbedRequest { origin: ProtocolId::OpenAiChat, model, input, dimensions, encoding, user: None, ext })
    }

    fn encode_response(
        &self,
        request: &EmbedRequest,
        response: &EmbedResponse,
        out: &mut Vec<u8>,
        _losses: &mut Losses,
    ) {
        write(&Told::unnamed(&request.model), &[], request, response, out);
    }

    fn encode_answer(
        &self,
        answering: &EmbedAnswering<'_>,
        response: &EmbedResponse,
        out: &mut Vec<u8>,
        losses: &mut Losses,
    ) {
        let EmbedAnswering { request, told, raw } = *answering;
        match told {
            Some(told) => {
                let bodies: Vec<&[u8]> = raw.iter().map(|body| &**body).collect();
                write(told, &bodies, request, response, out);
            }
            None => EmbeddingsIn::encode_response(self, request, response, out, losses),
        }
    }
}

fn write(told: &Told, bodies: &[&[u8]], request: &EmbedRequest, response: &EmbedResponse, out: &mut Vec<u8>) {
    json::object(out, |answer| {
        openai_vectors::write(&response.vectors, request.encoding, answer);
        answer.field("model", &request.model);
        let input = response.usage.and_then(|usage| usage.input);
        let cost = response.usage.as_ref().and_then(&told.price);
        answer.object("usage", |counts| {
            counts.optional("prompt_tokens", &input);
            counts.optional("total_tokens", &input);
            counts.field("tensorzero_cost", &cost);
        });
        told.write_raws(Face::Embeddings, bodies, answer);
    });
}
